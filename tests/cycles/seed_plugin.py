"""The example of GenSynth's documentation, with the lines that its listing lost; its names and comments kept."""

import numpy as np


class ExampleMetrics:
    def __init__(self, folder_name):
        self.confusion_matrix = np.zeros([10, 10], dtype=int)

    def update(self, data, tensor_values):
        # true value from training label
        true_values = data["label"]
        # prediction from network tensor key
        prediction_values = tensor_values["prediction_values"]
        batch_size = len(true_values)
        # Using the true value and predicted value for each sample
        # to update the confusion matrix.
        for index in range(batch_size):
            self.confusion_matrix[true_values[index], prediction_values[index]] += 1

    def get_worker_results(self):
        # partial results from each worker
        return self.confusion_matrix

    def reduce_all_worker_results(self, worker_results_list):
        # sum confusion matrices across worker results
        cumulative_confusion_matrix = np.sum(worker_results_list, axis=0)
        # If any of the class totals are zero then the
        # corresponding metric will be set to None. This also
        # allows worker_results_list to be set as an empty list
        # to allow all metrics to be returned as None

        class_label_totals = np.sum(cumulative_confusion_matrix, axis=1)
        if 0 not in class_label_totals:
            recall_vector = np.zeros(10)
            for i in range(10):
                recall_vector[i] = cumulative_confusion_matrix[i, i] / class_label_totals[i]
            recall = np.average(recall_vector)
        else:
            recall = None
        class_prediction_totals = np.sum(cumulative_confusion_matrix, axis=0)
        if 0 not in class_prediction_totals:
            precision_vector = np.zeros(10)
            for i in range(10):
                precision_vector[i] = cumulative_confusion_matrix[i, i] / class_prediction_totals[i]
            precision = np.average(precision_vector)
        else:
            precision = None

        # always return metrics, even if they are None
        return {"recall": recall, "precision": precision}
