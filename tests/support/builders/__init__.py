"""Builders of small SavedModels with random weights, for tests.

Each builder writes one folder and sets nothing globally except random seeds. Set ``TF_USE_LEGACY_KERAS=1``
and ``TF_CPP_MIN_LOG_LEVEL=3`` before TensorFlow is first imported.
"""
