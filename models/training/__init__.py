# SPDX-License-Identifier: Apache-2.0
"""What the train.py of the bundled networks share: data, the training loop, the ONNX file, the command line."""
