"""What is chosen in the lesson: the page, and every size on it."""

from traitlets import Bool, Enum, Float, Int, List, Unicode

from nasviz.views.state import ViewState

PAGES = {
    "counting": "FLOPs, FLOPS and MACs",
    "dense": "Dense layers",
    "convolution": "Convolutions",
    "pooling": "Pooling",
    "separable": "Separable convolutions",
    "networks": "Two networks",
    "conventions": "Whose FLOPs?",
    "roofline": "Fewer FLOPs, faster?",
    "times": "Where the time goes",
    "pruning": "Pruning",
}
"""The pages in order, with their titles."""


class LessonState(ViewState):
    """What is chosen in a :class:`~nasviz.views.lesson.panel.FlopsLesson`."""

    page = Enum(list(PAGES), "counting")
    step = Int(0, min=0, help="which element of the output is being made, or which product is added")
    length = Int(9, min=1, max=64, help="of the vectors of a dot product")
    speed = Float(1e11, min=1e6, max=1e15, help="of a machine, FLOP/s")
    inputs = Int(605, min=1, max=4096)
    outputs = Int(128, min=1, max=4096)
    size = Int(28, min=1, max=64, help="rows and columns of the input of a convolution")
    c_in = Int(1, min=1, max=256)
    c_out = Int(10, min=1, max=256)
    kernel = Int(3, min=1, max=11)
    stride = Int(1, min=1, max=4)
    padding = Int(0, min=0, max=5)
    dilation = Int(1, min=1, max=4)
    groups = Int(1, min=1, max=256)
    bias = Bool(False)
    pool_size = Int(26, min=2, max=64)
    pool_channels = Int(10, min=1, max=256)
    pool_kernel = Int(2, min=1, max=8)
    pool_stride = Int(2, min=1, max=8)
    second = Bool(False, help="which of the two networks of the notes is shown line by line")
    count = Enum(["lesson", "corrected", "standard"], "lesson", help="how the networks of the notes are counted")
    revealed = Bool(False, help="whether the second network of the notes may be seen")
    network = Unicode("ResNet-18", help="whose rules of counting are explained")
    measured_network = Unicode("MobileNetV1", help="whose layers stand under the roof")
    peak = Float(100.0, min=1.0, max=1e6, help="of a machine, GFLOP/s")
    bandwidth = Float(20.0, min=0.1, max=1e5, help="of a machine, GB/s")
    runtime = Enum(["torch", "openvino"], "torch", help="what runs the networks that are measured")
    zeroed = Float(0.9, min=0.0, max=0.99, help="share of the weights that is set to zero")
    removed = Float(0.5, min=0.0, max=0.95, help="share of the channels that is removed")
    solved = List(Unicode(), help="the questions that were answered rightly")
    picture = Bool(False, help="whether the static twin is shown")
