"""What TensorFlow's Python code says while a public function runs: warnings, and no notes on what it reads and writes.

At a prompt and in a notebook TensorFlow prints each folder that it saves or restores. Most are temporary, and gone when
a reader sees them. With TF_CPP_MIN_LOG_LEVEL=0, as `--verbose` sets it, everything is shown.
"""

from __future__ import annotations

import logging
import os

from surgery.boundary import is_running


def is_shown(record: logging.LogRecord) -> bool:
    """Whether a message is shown: a filter of the logger `tensorflow`."""
    return record.levelno > logging.INFO or os.environ.get("TF_CPP_MIN_LOG_LEVEL") == "0" or not is_running()


logging.getLogger("tensorflow").addFilter(is_shown)
