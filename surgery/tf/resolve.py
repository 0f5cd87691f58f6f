"""`python -m surgery.tf.resolve HANDLE` downloads and caches a Hub handle, and prints its folder."""

import sys
import warnings


def main() -> None:
    """Resolves the handle in `sys.argv`. On failure the last line of stderr is the reason."""
    warnings.simplefilter("ignore")
    import tensorflow_hub

    try:
        print(tensorflow_hub.resolve(sys.argv[1]))
    except Exception as error:  # tensorflow_hub lets the errors of urllib, tarfile and others pass
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
