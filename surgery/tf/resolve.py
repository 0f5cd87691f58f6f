"""`python -m surgery.tf.resolve HANDLE`: downloads and caches a Hub handle, prints the folder."""

import sys
import warnings


def main() -> None:
    """Resolves the handle in argv; on failure the last line of stderr is the reason."""
    warnings.simplefilter("ignore")
    import tensorflow_hub

    try:
        print(tensorflow_hub.resolve(sys.argv[1]))
    except Exception as error:  # tensorflow_hub raises whatever its download layers raise
        sys.exit(f"{type(error).__name__}: {' '.join(str(error).split())}")


if __name__ == "__main__":
    main()
