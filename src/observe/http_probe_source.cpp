#include "observe/http_probe_source.hpp"

#include <utility>

namespace foreshadow::observe {
namespace {

class HttpProbeSource : public Source {
 public:
  HttpProbeSource(InstanceId instance, Endpoint endpoint, std::string path, Millis timeout, ProbeTls tls)
      : id_(std::move(instance)),
        endpoint_(std::move(endpoint)),
        path_(std::move(path)),
        timeout_(timeout),
        tls_(std::move(tls)) {}

  std::string name() const override { return "http_probe:" + id_; }

  Result<std::vector<Reading>> scrape(std::stop_token stop) override {
    io::HttpTls tls;
    if (tls_) {
      FS_TRY(ready, tls_());
      tls = std::move(ready);
    }
    const auto answer = io::http_get(endpoint_.host, endpoint_.port, path_, timeout_, stop, tls);
    if (!answer) {
      // What we cut off ourselves, or could not even try, says nothing of the target.
      const auto code = answer.error().code;
      if (stop.stop_requested() || code == Code::cancelled || code == Code::io)
        return tl::make_unexpected(answer.error());
      return std::vector<Reading>{{id_, "probe_up", 0.0}};
    }
    return std::vector<Reading>{{id_, "probe_up", answer->status < 500 ? 1.0 : 0.0},
                                {id_, "probe_duration_seconds", to_seconds(answer->took)}};
  }

 private:
  InstanceId id_;
  Endpoint endpoint_;
  std::string path_;
  Millis timeout_;
  ProbeTls tls_;
};

}  // namespace

std::unique_ptr<Source> http_probe_source(InstanceId instance, Endpoint endpoint, std::string path, Millis timeout,
                                          ProbeTls tls) {
  return std::make_unique<HttpProbeSource>(std::move(instance), std::move(endpoint), std::move(path), timeout,
                                           std::move(tls));
}

}  // namespace foreshadow::observe
