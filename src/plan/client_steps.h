// SPDX-License-Identifier: Apache-2.0
// The JSON of a client half's steps (protocol/client-half.md).
#pragma once

#include "plan/client_half.h"
#include "plan/json_fields.h"

namespace tacit::plan::detail {

// The field "steps"; indices of values are below `values`.
Status read_steps(const Fields& root, std::size_t values, std::vector<Step>& out);
ordered_json steps_json(const std::vector<Step>& steps);

}  // namespace tacit::plan::detail
