// SPDX-License-Identifier: Apache-2.0
// The report as one HTML page that needs nothing else: no scripts, no fonts, no network.
#pragma once

#include <filesystem>
#include <string>

#include "compiler/record.h"
#include "compiler/report.h"

namespace tacit::app {

// Well-formed as XML too. Parts that a record does not tell of are left out.
std::string report_page(const compiler::Report& report, const compiler::Record& record);
// file.unwritable.
Status write_report_page(const std::filesystem::path& path, const compiler::Report& report,
                         const compiler::Record& record);

}  // namespace tacit::app
