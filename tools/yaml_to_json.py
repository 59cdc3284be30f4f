#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A YAML file as one line of JSON within a C++ string: yaml_to_json.py IN.yaml OUT.cpp VARIABLE (with its namespaces)."""
import json
import sys
from pathlib import Path

import yaml

source, target, variable = sys.argv[1:]
text = json.dumps(yaml.safe_load(Path(source).read_text()), ensure_ascii=True, separators=(",", ":"))
space, name = variable.rsplit("::", 1)
# A string literal may have 65,536 characters at least; pieces are joined by the compiler.
pieces = "\n".join(f'    R"json({text[i:i + 16000]})json"' for i in range(0, len(text), 16000))
Path(target).write_text(f"""#include <string_view>

namespace {space} {{
extern const std::string_view {name};
const std::string_view {name} =
{pieces};
}}  // namespace {space}
""")
