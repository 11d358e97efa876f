#include "postgres/run.hpp"

#include <fmt/format.h>
#include <sys/epoll.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace foreshadow::bench::pg {
namespace {

// A loop that takes no longer than this to come round is not called late.
constexpr std::chrono::microseconds kLate{5000};

std::int64_t us(Time t) { return std::chrono::duration_cast<std::chrono::microseconds>(t.time_since_epoch()).count(); }
double ms(Clock::duration d) { return std::chrono::duration<double, std::milli>(d).count(); }

}  // namespace

File create(const std::string& name) {
  File file(name.empty() ? nullptr : std::fopen(name.c_str(), "we"), [](std::FILE* f) { return std::fclose(f); });
  if (!file && !name.empty()) {
    std::perror(name.c_str());
    std::exit(1);
  }
  return file;
}

void Ledger::note(const std::string& id, const char* outcome, Time now) {
  if (file_) fmt::print(file_.get(), "{} {} {}\n", id, outcome, us(now));
}

void Waits::answered(std::size_t client, Time wanted, Time now) {
  longest_ = std::max(longest_, now - wanted);
  if (file_ && now - wanted > over_) fmt::print(file_.get(), "wait {} {} {}\n", client, us(wanted), us(now));
}

void Waits::turned(Time due, Time now) {
  if (now - due <= kLate) return;
  ++late_;
  late_total_ += now - due;
  late_max_ = std::max(late_max_, now - due);
  if (file_) fmt::print(file_.get(), "late {} {}\n", us(due), us(now));
}

std::string Waits::json() const {
  return fmt::format("\"longest_wait_ms\":{:.3f},\"late\":{{\"times\":{},\"total_ms\":{:.3f},\"max_ms\":{:.3f}}}",
                     ms(longest_), late_, ms(late_total_), ms(late_max_));
}

Run::Run(Settings s)
    : settings(std::move(s)),
      script(settings.kind, settings.scale),
      ledger(settings.ledger),
      waits(settings.waits, settings.waits_over),
      chance(settings.seed),
      epoll(epoll_create1(EPOLL_CLOEXEC)) {}

}  // namespace foreshadow::bench::pg
