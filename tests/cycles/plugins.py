"""A data set and plug-ins for the tests, in a module that a worker imports fast; most are broken, each in one way."""

import os
import threading

import numpy as np

CLASSES = 10
_SEEN = []
_COUNT = 0


class Samples:
    """Logits that are right two times out of three, as the images of a network that changes nothing."""

    def __init__(self, count, seed=0):
        random = np.random.default_rng(seed)
        self.label = random.integers(CLASSES, size=count)
        self.image = random.normal(size=(count, CLASSES)).astype("float32")
        self.image[np.arange(count), self.label] += 2

    def __len__(self):
        return len(self.label)

    def __getitem__(self, i):
        return {"image": self.image[i], "label": self.label[i], "index": i}


class Counts:
    """A sound plug-in: how many samples there were."""

    def __init__(self, folder_name):
        self.folder, self.count = folder_name, 0

    def update(self, data, tensor_values):
        self.count += len(data["index"])

    def get_worker_results(self):
        return self.count

    def reduce_all_worker_results(self, worker_results_list):
        return {f"{type(self).__name__}_count": sum(worker_results_list) if worker_results_list else None}


class Order(Counts):
    """The samples, in the order of the reduced list, as one number; and no value, which is legal."""

    def __init__(self, folder_name):
        super().__init__(folder_name)
        self.seen = []

    def update(self, data, tensor_values):
        self.seen += data["index"].tolist()

    def get_worker_results(self):
        return self.seen

    def reduce_all_worker_results(self, worker_results_list):
        seen = sum(worker_results_list, [])
        return {"in_order": float(seen == sorted(seen)) if seen else None, "never": None}


class Files(Counts):
    """Answers with the name of a file in its own folder, keeps a report for the user, tells apart the folders."""

    def get_worker_results(self):
        with open(os.path.join(self.folder, "count.txt"), "w") as file:
            file.write(str(self.count))
        return {"file": "count.txt", "folder": self.folder}

    def reduce_all_worker_results(self, worker_results_list):
        total = 0
        for result in worker_results_list:
            with open(result["file"]) as file:
                total += int(file.read())
        if worker_results_list:
            with open(os.path.join(self.folder, "report.txt"), "w") as file:
                file.write("\n".join([self.folder, *(result["folder"] for result in worker_results_list)]))
        return {"from_files": total}


class Overrides(Counts):
    """Gives a value of its own instead of the prediction, and a new one."""

    def update(self, data, tensor_values):
        super().update(data, tensor_values)
        return {"prediction": tensor_values["prediction"] + 100, "extra": "any", "unasked": threading.Lock()}


class Vandal(Counts):
    """Writes into what it was given."""

    def update(self, data, tensor_values):
        super().update(data, tensor_values)
        data["label"][:] = 0
        tensor_values["logits"][:] = 0


class RaisesInInit(Counts):
    def __init__(self, folder_name):
        raise OSError("the licence server\n  does not answer")


class RaisesInUpdate(Counts):
    def update(self, data, tensor_values):
        if 20 in data["index"]:
            raise ZeroDivisionError("division by zero")


class Exits(Counts):
    def update(self, data, tensor_values):
        raise SystemExit(3)


class RaisesInResults(Counts):
    def get_worker_results(self):
        if self.count:
            raise KeyError("count")
        return 0


class RaisesInReduce(Counts):
    def reduce_all_worker_results(self, worker_results_list):
        if any(worker_results_list):
            raise RuntimeError("no way to add up")
        return {"RaisesInReduce_count": None}


class OtherKeys(Counts):
    def reduce_all_worker_results(self, worker_results_list):
        if not worker_results_list:
            return {"stable": None, "before": None}
        return {"stable": 1.0, "after": 2.0}


class NotScalar(Counts):
    def reduce_all_worker_results(self, worker_results_list):
        return {"fine": np.float32(0.5), "per_class": np.zeros(3)}


class NotFinite(Counts):
    def reduce_all_worker_results(self, worker_results_list):
        return {"ratio": float("nan")}


class NoDictionary(Counts):
    def reduce_all_worker_results(self, worker_results_list):
        return [0.5]


class Unpicklable(Counts):
    def get_worker_results(self):
        return threading.Lock() if self.count else 0


class AnswersOnce(Counts):
    def get_worker_results(self):
        count, self.count = self.count, 0
        return count


class UpdateReturnsText(Counts):
    def update(self, data, tensor_values):
        return "done"


class ClassVariable(Counts):
    counts = np.zeros(3)

    def update(self, data, tensor_values):
        self.counts += 1


class ModuleVariable(Counts):
    def update(self, data, tensor_values):
        _add()


class ModuleList(Counts):
    def update(self, data, tensor_values):
        if 20 in data["index"]:
            _SEEN.append(1)


class DefaultArgument(Counts):
    def update(self, data, tensor_values, seen=[]):  # noqa: B006 - the fault that is to be found
        seen.append(1)


class ReadsGlobals(Counts):
    """Looks at variables outside itself, which is no fault."""

    factor = 2

    def update(self, data, tensor_values):
        self.count += self.factor * len(_SEEN) * 0 + len(data["index"])


class Dies(Counts):
    def update(self, data, tensor_values):
        os._exit(3)


class _Private(Counts):
    pass


Private = _Private


def _add():
    global _COUNT
    _COUNT += 1
