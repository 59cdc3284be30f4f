#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# scripts/build_task.sh FOLDER: builds the submission in FOLDER into FOLDER/build, as the suite's harness asks for it.
# TACIT_SOURCE names Tacit's sources where FOLDER is a copy and not a link into them.
set -euo pipefail
cmake -S "$1" -B "$1/build" -DCMAKE_BUILD_TYPE=Release ${TACIT_SOURCE:+-DTACIT_SOURCE="$TACIT_SOURCE"}
cmake --build "$1/build" --target fhe_benchmark --parallel "$(nproc)"
