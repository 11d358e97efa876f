// Foreshadow's own view as Prometheus exposition text (format 0.0.4): HELP and TYPE once a family, base units, _total
// on counters, labels escaped. Pure rendering: it neither collects nor serves.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "domain/gateway_report.hpp"
#include "domain/outlook.hpp"
#include "domain/phase.hpp"

namespace foreshadow::publish {

// Newest value of one observed signal. `signal` may carry labels of its own: request_rate{segment="orders"}.
struct ObservedValue {
  ResourceId resource;
  InstanceId instance;
  std::string signal;
  double value = 0;
};
struct ResourceView {
  Outlook outlook;
  Phase phase = Phase::observing;
  bool paused = false;
};
struct MetricsView {
  std::vector<ResourceView> resources;
  std::vector<ObservedValue> values;
  std::vector<GatewayReport> gateways;
};

std::string prometheus_text(const MetricsView& view);

}  // namespace foreshadow::publish
