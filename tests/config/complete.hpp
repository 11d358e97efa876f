// A file with every section in it, used by more than one test.
#pragma once

namespace foreshadow::config {

inline constexpr const char* kComplete = R"(version: 1
state_dir: state
log_level: debug
gateways: [{name: edge, threads: 2}]
agents: [{name: local}]
resources:
  - name: shop
    kind: http
    listen: 127.0.0.1:8080
    gateways: [edge]
    primary:
      id: shop-a
      address: 127.0.0.1:9001
      pid_file: shop-a.pid
      failure_domains: ["process:shop-a"]
      attributes: {cgroup: /sys/fs/cgroup/shop-a}
    segments:
      - name: browse
        match: {method: "GET,HEAD", path: "/products/**"}
        latency_sensitivity: 0.2
      - name: orders
        match: {method: POST, path: /orders}
        writes: true
        honours_mirror_mark: true
    listener: {connections_max: 500, idle_timeout: 30s, header_timeout: 5s, upstream_timeout: 20s, header_bytes_max: 16KiB,
      body_spool_max: 256KiB, parked_max: 200, release_concurrency: 20, proxy_protocol: required, tls: {certificates: [{certificate_file: shop.pem, key_file: shop.key}], client_certificates: require, client_ca_file: clients.pem, check_interval: 5s}, upstream_connections_max: 100, upstream_queue_max: 50, upstream_queue_timeout: 2s, breaker: {connect_failures: 4, open_time: 200ms, max_open_time: 2s, wait: 3s}, outlier: {consecutive_errors: 6, failure_share: 20%, request_volume: 30, interval: 20s, base_ejection_time: 3s, max_ejection_time: 1m}}
    observe:
      interval: 250ms
      stale_after: 2s
      retention: 1h
      signals:
        - {name: process_resident_memory_bytes, limit: 96MiB, hard: true}
        - {name: volume_available_bytes, limit: 12MiB, direction: falling, hard: true}
        - {name: request_p99_seconds, limit: 500ms}
        - {name: 'request_error_ratio{segment="orders"}', limit: 1%}
        - {name: process_threads}
      calendar: calendar.yaml
    policy:
      autonomy: act
      approval_required: true
      handover_enabled: false
      shadowing: {threshold: 0.5, horizon: 30s}
      critical: {threshold: 80%, horizon: 12s}
      hysteresis: 0.15
      recede_after: 5m
      shift_max: 0.4
      mirror_fraction: 1.0
      reverse_mirror_fraction: 0.5
      canary: {error_rate_max: 0.01, slow_after: 250ms, slow_rate_max: 0.05, mismatch_rate_max: 0.02, alpha: 0.01, requests_min: 60}
      hold: {lease: 2s, budget: 250ms, park_max: 4s, attempts_max: 7, retry_after: 2s}
      budget: {provisions_per_day: 3, handovers_per_day: 2, cooldown: 1m}
      bounds: {shadowing_min: 0.1, shadowing_max: 0.7, critical_min: 0.6, critical_max: 0.9}
      provision_timeout: 1m
      replicate_timeout: 2m
      counterfactual_max: 3m
      load_ratio_min: 0.8
      retirement: rebuild
      freeze_share: 0.4
      failover: {enabled: true, restart_grace: 3s, loss_max_bytes: 64KiB}
    provision:
      command: {argv: [./provision.sh, up], destroy: [./provision.sh, down], rebuild: [./provision.sh, again], timeout: 30s}
    options: {health_path: /healthz}
  - name: ledger
    kind: postgres
    listen: "127.0.0.1:5433"
    gateways: [{name: edge, listen: "127.0.0.1:5433"}]
    agent: local
    primary: {id: pg-a, address: "/run/pg:5432", data_dir: /srv/pg}
    segments:
      - {name: reports, match: {application_name: reports}, staleness_max: 5s}
      - {name: rest, writes: true}
    provision:
      terraform: {dir: infra/, binary: ./bin/tofu, variables: {size: "2"}}
    options: {max_rate: 20MB, password_file: pgpass}
)";

}  // namespace foreshadow::config
