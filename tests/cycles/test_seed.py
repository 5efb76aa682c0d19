"""Each sentence of GenSynth's documentation that says what a user sees or does, and the test that holds it here."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parents[1]
PAGE, VIEWS = "browser/test_cycles_page.py", "browser/test_cycles.py"
VISITOR = f"{PAGE}::test_visitors_of_the_dashboard_read_and_download"
TRAINS = f"{PAGE}::test_with_allow_actions_a_visitor_trains_and_the_page_follows"
MADE = "cycles/test_generate.py::test_a_cycle_is_trained_and_measured_on_the_test_set"
LAYERS = "views/test_layer_comparison.py"

HELD = {
    "a series of bar graphs, each presenting a specific metric over generation cycles": [
        "views/test_cycle_bars.py::test_first_paint",
        VISITOR,
    ],
    "select the metrics you wish to display in each graph from the drop-down": [
        "views/test_cycle_bars.py::test_graphs_are_chosen_added_and_removed",
        f"{VIEWS}::test_the_views_of_a_run",
    ],
    "performance: the primary metric, when applied to the test dataset": [MADE],
    "the total number of trainable parameters": [MADE, "cycles/test_description.py::test_metrics_by_hand"],
    "NetScore+, evaluated on the test dataset": [MADE, "measure/test_netscore.py"],
    "size (bytes): memory to store the trainable parameters": [MADE],
    "floating-point operations of a single input, normalised by the batch size": [
        "cycles/test_description.py::test_costs_are_those_of_one_input"
    ],
    "any additional metrics configured will also be available": [
        "cycles/test_performance.py::test_what_was_found_goes_into_a_cycle_none_too"
    ],
    "select the best cycle with respect to your particular constraints": [
        "views/test_pareto.py::test_constraints_grey_out_what_breaks_them",
        f"{VIEWS}::test_the_views_of_a_run",
    ],
    "you may then fine-tune that cycle": [TRAINS],
    "comparative analysis: details for each layer in each generated network": [f"{LAYERS}::test_first_paint", VISITOR],
    "layers identified as performance bottlenecks are highlighted": [
        f"{LAYERS}::test_a_bottleneck_is_marked_by_the_rule_that_is_stated",
        VISITOR,
    ],
    "layer names are those of the operations with trainable weights; others are not displayed": [
        "cycles/test_description.py::test_layers_by_hand",
        f"{LAYERS}::test_layers_without_weights_are_behind_a_switch",
    ],
    "for each layer, compare these per-layer metrics between cycles": [f"{VIEWS}::test_the_views_of_a_run"],
    "information capacity, on the comparative analysis tab and in the network visualization": [
        "measure/test_capacity.py",
        "views/test_explorer.py::test_any_metric_colours_the_boxes",
        VISITOR,
    ],
    "FLOPs (kilo), channels and parameters of a layer": ["cycles/test_description.py::test_layers_by_hand"],
    "FLOPs and parameters have a Total row, the sum over all layers": [
        "cycles/test_description.py::test_the_sum_over_layers_is_the_network_s",
        VISITOR,
    ],
    "on the overview tab, a drop-down menu of the available actions per cycle": [
        "views/test_cycle_actions.py::test_the_menu_has_every_action_and_its_parameters",
        VISITOR,
    ],
    "get model archive: download a zip file of the model": [
        "cycles/test_model_archive.py::test_its_script_runs_the_model_in_a_fresh_process",
        VISITOR,
    ],
    "fine-tune: a job that creates a new model by continuing to train the selected cycle": [
        "cycles/test_generate.py::test_a_fine_tuned_cycle_goes_on_from_its_parent",
        TRAINS,
    ],
    "new job: a build with the model of this cycle as the initial one, some parameters changed": [
        "cycles/test_generate.py::test_a_new_job_keeps_the_initial_network_as_cycle_0",
        f"{PAGE}::test_in_lab_the_menu_has_every_action_and_a_thousand_nodes_are_moved",
    ],
    "this button takes you to a page to explore layers of the model interactively": [
        "views/test_cycles_page.py::test_the_tabs_are_filled_when_they_are_opened_and_linked",
        VISITOR,
    ],
    "restart with different settings from any cycle, or start from scratch": [
        "cycles/test_generate.py::test_a_new_job_from_nothing_and_from_an_architecture"
    ],
    "topology changes may cause layers to be added or removed in each cycle": [
        f"{LAYERS}::test_the_table_has_gaps_and_no_zeros_where_layers_are_missing",
        "cycles/test_demonstration.py::test_the_bundled_run_is_small_and_shows_what_a_generator_does",
    ],
}
"""Edge build, a job that searches, is left to the search: `nasviz.cycles.actions` takes it as one more entry."""


@pytest.mark.parametrize("sentence", HELD)
def test_every_sentence_has_a_test(sentence):
    for where in HELD[sentence]:
        file, _, name = where.partition("::")
        tree = ast.parse((TESTS / file).read_text(encoding="utf-8"))
        tests = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
        assert name in tests if name else any(test.startswith("test_") for test in tests), where
