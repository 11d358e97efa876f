// A gateway that was away: taken out of the path while it was down, or back with a state file that knows too little.
#include "proxy/absence.hpp"

#include <gtest/gtest.h>

#include <boost/asio.hpp>

#include "domain/json.hpp"
#include "io/files.hpp"
#include "io/rpc.hpp"
#include "proxy/gate_impl.hpp"
#include "proxy/gate_store.hpp"
#include "proxy/gateway.hpp"
#include "proxy/tables.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow::proxy {
namespace {

namespace asio = boost::asio;
using testing::instance;
using testing::segments;
using testing::table;

struct AbsenceTest : ::testing::Test {
  foreshadow::testing::TempDir dir;
  Absent edge{dir.path(), "edge"};
  std::string file = gateway_state_path(dir.path(), "edge");

  GateState stored() {
    const auto store = GateStore::open(file);
    return store ? store->find("shop").value_or(GateState{}) : GateState{};
  }
  void store(const GateState& state) {
    auto opened = GateStore::open(file);
    ASSERT_TRUE(opened && opened->save("shop", state));
  }
};

TEST_F(AbsenceTest, what_runs_is_not_taken_out) {
  const auto lock = io::FileLock::take(gateway_lock_path(dir.path(), "edge"));
  ASSERT_TRUE(lock);
  const auto out = take_out(edge, "shop", instance("a", 9001));
  ASSERT_FALSE(out);
  EXPECT_EQ(out.error().code, Code::conflict);
  EXPECT_FALSE(is_out(edge, "shop"));
}

TEST_F(AbsenceTest, a_seal_becomes_something_that_only_a_table_opens) {
  GateState state;
  state.table = table(3, 7);
  state.term = 4;
  state.seal = SealRecord{4, Millis{2000}};
  store(state);
  EXPECT_FALSE(is_out(edge, "shop"));
  ASSERT_TRUE(take_out(edge, "shop", instance("a", 9001)));
  EXPECT_TRUE(is_out(edge, "shop"));
  EXPECT_FALSE(is_out(edge, "ledger"));
  EXPECT_EQ(stored().behind, (BehindRecord{3, Millis{2000}}));
  EXPECT_FALSE(stored().seal);
  EXPECT_EQ(stored().table, state.table);
  EXPECT_EQ(stored().term, 4U);
  EXPECT_TRUE(take_out(edge, "shop", instance("a", 9001))) << "the same again";
}

TEST_F(AbsenceTest, one_that_never_had_a_table_is_taken_out_too) {
  ASSERT_TRUE(take_out(edge, "shop", instance("a", 9001)));
  EXPECT_TRUE(is_out(edge, "shop"));
  EXPECT_EQ(stored().table.current, instance("a", 9001));
}

TEST_F(AbsenceTest, a_file_of_a_version_that_knew_no_absence_is_read) {
  GateState state;
  state.table = table(1, 1);
  auto j = nlohmann::json::parse(encode_states({{"shop", state}}));
  j["resources"]["shop"].erase("behind");
  const auto read = decode_states(j.dump());
  ASSERT_TRUE(read) << read.error().what;
  EXPECT_EQ(read->at("shop"), state);
}

// A gate that boots behind.
struct BehindTest : ::testing::Test {
  asio::io_context context;
  std::unique_ptr<GateImpl> gate;

  void boot(std::uint64_t epoch) {
    GateState state;
    state.table = table(1, 5);
    state.term = 1;
    state.behind = BehindRecord{epoch, Millis{1000}};
    gate = std::make_unique<GateImpl>(context.get_executor(),
                                      GateSettings{"shop", segments(), instance("a", 9001), 100, 42}, state);
  }
  void put(const RouteTable& t) {
    const auto next = gate->propose(t);
    ASSERT_TRUE(next) << next.error().what;
    ASSERT_TRUE(*next);
    gate->put_in_force(t);
  }
  bool serves() { return gate->try_enter(0, 0, Work::read) && gate->try_enter(0, 0, Work::write); }
};

TEST_F(BehindTest, nothing_is_served_before_a_table) {
  boot(1);
  EXPECT_FALSE(gate->try_enter(0, 0, Work::write));
  EXPECT_FALSE(gate->try_enter(0, 0, Work::read)) << "the old side may be gone, for reads too";
  EXPECT_EQ(gate->report().hold, HoldState::sealed);
  EXPECT_TRUE(gate->state().behind);
  EXPECT_FALSE(gate->state().seal);
}

TEST_F(BehindTest, the_same_table_again_opens_it_when_nothing_was_missed) {
  boot(1);
  const auto next = gate->propose(table(1, 5));
  ASSERT_TRUE(next && *next) << "it must reach the disk that it is behind no more";
  EXPECT_FALSE((*next)->behind);
  gate->put_in_force(table(1, 5));
  EXPECT_TRUE(serves());
  EXPECT_FALSE(gate->state().behind);
}

TEST_F(BehindTest, a_table_of_an_epoch_before_the_missed_one_does_not) {
  boot(3);
  EXPECT_FALSE(gate->propose(table(2, 1)));
  const auto same = gate->propose(table(1, 5));
  EXPECT_TRUE(same && !*same);
  EXPECT_FALSE(serves());
  put(table(3, 1));
  EXPECT_TRUE(serves());
}

TEST_F(BehindTest, it_takes_no_hold_and_no_seal_and_a_release_does_not_open_it) {
  boot(1);
  EXPECT_FALSE(gate->hold(2, 2, HoldPolicy{}, [](const Result<void>&) {}));
  EXPECT_FALSE(gate->seal(2, 2));
  EXPECT_TRUE(gate->propose_release(2, 2)) << "the others must be able to go on";
  gate->release(2, 2);
  EXPECT_FALSE(serves());
  EXPECT_TRUE(gate->state().behind);
}

// Nobody connects in these: what matters is the state that it boots into.
class NoProtocol final : public Protocol {
 public:
  asio::awaitable<void> serve(asio::ip::tcp::socket, Gate&) override { co_return; }
};

struct BootTest : AbsenceTest {
  std::uint64_t elsewhere = 0;

  GatewayReport booted() {
    GatewaySettings settings{.name = "edge", .state_dir = dir.path()};
    ListenerSettings listener;
    listener.resource = "shop";
    listener.listen = {"127.0.0.1", 0};
    listener.segments = segments();
    listener.primary = instance("a", 9001);
    settings.listeners.push_back(listener);
    settings.epoch_elsewhere = [this](const ResourceId&) { return elsewhere; };
    const auto gateway = Gateway::start(settings, [](const ListenerSettings&, asio::any_io_executor) {
      return Result<std::unique_ptr<Protocol>>(std::make_unique<NoProtocol>());
    });
    EXPECT_TRUE(gateway);
    const auto report = io::rpc_call(gateway_socket_path(dir.path(), "edge"),
                                     {{"verb", "report"}, {"resource", "shop"}}, Millis{20'000});
    return report ? report->get<GatewayReport>() : GatewayReport{};
  }
};

TEST_F(BootTest, one_whose_file_was_lost_waits_for_the_epoch_that_others_know) {
  elsewhere = 2;
  EXPECT_EQ(booted().hold, HoldState::sealed);
  EXPECT_EQ(stored().behind->epoch, 2U);
}

TEST_F(BootTest, one_that_knows_as_much_serves_at_once) {
  GateState state;
  state.table = table(2, 1);
  store(state);
  elsewhere = 2;
  EXPECT_EQ(booted().hold, HoldState::open);
  elsewhere = 1;
  EXPECT_EQ(booted().hold, HoldState::open) << "others may be behind";
}

TEST_F(BootTest, a_seal_for_the_epoch_that_others_have_is_still_a_seal) {
  GateState state;
  state.table = table(1, 1);
  state.seal = SealRecord{2, Millis{1000}};
  store(state);
  elsewhere = 2;
  EXPECT_EQ(booted().hold, HoldState::sealed);
  EXPECT_TRUE(stored().seal);
  EXPECT_FALSE(stored().behind);
}

}  // namespace
}  // namespace foreshadow::proxy
