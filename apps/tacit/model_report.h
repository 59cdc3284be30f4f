// SPDX-License-Identifier: Apache-2.0
// What compile and inspect say about a model.
#pragma once

#include "compiler/report.h"
#include "console.h"

namespace tacit::app {

// A table of the layers and the totals, on standard error.
void say_report(const compiler::Report& report);

// {"ring_degree", "log_qp", "levels", "rotations", "products", "key_bytes", "upload_bytes", "estimated_ms"}
// and what else there is to say, the layers among it.
nlohmann::ordered_json report_json(const compiler::Report& report);

}  // namespace tacit::app
