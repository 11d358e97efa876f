// A gateway whose segment `browse` is insured, with a primary that fails when the test says so.
#pragma once

#include <atomic>

#include "kinds/http/rig.hpp"

namespace foreshadow::kinds::http::testing {

struct InsuranceRig : Rig {
  static constexpr int kPairs = 5;

  InsuranceRig() {
    auto& own = listener().matches.front().options;
    own["insurance"] = "true";
    own["insurance_pairs"] = std::to_string(kPairs);
    listener().options["compare_cpu"] = "100%";
    listener().options["compare_noise"] = "0";
    const auto same = [](const Message& m, Stream&) { return Backend::Reply{ok("same " + m.target())}; };
    a.handle(same);
    b.handle(same);
  }
  std::map<std::string, std::string>& option() { return listener().matches.front().options; }

  // Starts, and has so many answers compared that the shadow may stand in, if they are alike.
  void start_insured(int pairs = kPairs) {
    start();
    apply(split(0, 1.0));
    qualify(pairs);
  }
  void qualify(int pairs = kPairs) {
    const auto before = segment("browse").mirror.sent;
    auto client = connect();
    for (int i = 0; i < pairs; ++i) {
      ASSERT_TRUE(client.send("GET /pair HTTP/1.1\r\nHost: shop\r\n\r\n"));
      ASSERT_TRUE(read_message(client));
    }
    ASSERT_TRUE(eventually([&] { return segment("browse").mirror.sent == before + static_cast<std::uint64_t>(pairs); },
                           kVeryPatient));
    asked_before = b.count();
  }
  // From now on the primary reads requests and ends the connection.
  void primary_drops() {
    a.handle([](const Message&, Stream&) { return Backend::Reply{"", true}; });
  }
  // What the shadow was asked since it qualified.
  std::size_t asked() const { return b.count() - asked_before; }
  InsuranceStats insurance() const { return segment("browse").insurance; }
  std::size_t asked_before = 0;
};

}  // namespace foreshadow::kinds::http::testing
