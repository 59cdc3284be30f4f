// SPDX-License-Identifier: Apache-2.0
// Readings as metric families. Private to metrics.cpp: what includes it is tied to prometheus-cpp.
#pragma once

#include <prometheus/metric_family.h>

#include <vector>

#include "server/metrics.h"

namespace tacit::server {

std::vector<prometheus::MetricFamily> families_of(const Readings& readings);

}  // namespace tacit::server
