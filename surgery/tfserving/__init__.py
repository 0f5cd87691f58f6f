"""An export behind TensorFlow Serving: reply sizes, configuration files, commands, requests."""
