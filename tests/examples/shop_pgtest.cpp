// The shop, the load generators and the verifier as processes, on a real PostgreSQL.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "io/subprocess.hpp"
#include "support/eventually.hpp"
#include "support/pg_cluster.hpp"
#include "support/temp_dir.hpp"

namespace foreshadow {
namespace {

using nlohmann::json;
using testing::eventually;
using testing::PgCluster;

std::string read(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A child that is killed at the latest when the test is over.
class Child {
 public:
  Child(std::vector<std::string> argv, const std::string& log) {
    std::vector<char*> words;
    for (auto& word : argv) words.push_back(word.data());
    words.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ == 0) {
      if (std::freopen(log.c_str(), "w", stderr) == nullptr) ::_exit(126);
      ::execv(words[0], words.data());
      ::_exit(127);
    }
  }
  ~Child() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void signal(int number) const { ::kill(pid_, number); }
  // The wait status once it has ended.
  std::optional<int> ended() {
    int status = 0;
    if (pid_ <= 0 || ::waitpid(pid_, &status, WNOHANG) != pid_) return {};
    pid_ = -1;
    return status;
  }

 private:
  pid_t pid_ = -1;
};

class ShopTest : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(PgCluster::available()) << "no PostgreSQL server is installed: ./dev setup";
    cluster_.init(directory_.path());
    cluster_.start();
  }

  io::Finished run(std::vector<std::string> argv) {
    auto finished = io::run({.argv = std::move(argv), .environment = {{"ASAN_OPTIONS", "detect_leaks=0"}}});
    if (!finished) throw std::runtime_error(finished.error().what);
    return *finished;
  }
  std::string pid_file() const { return dir_ / "shop.pid"; }
  std::string log() const { return dir_ / "shop.log"; }
  std::unique_ptr<Child> start_shop(std::vector<std::string> more = {}) {
    EXPECT_EQ(run({FORESHADOW_SHOP, "--init-schema", "--database", cluster_.conninfo()}).exit_code, 0);
    std::vector<std::string> argv{FORESHADOW_SHOP, "--listen",   "127.0.0.1:0",      "--pid-file",
                                  pid_file(),      "--database", cluster_.conninfo()};
    argv.insert(argv.end(), more.begin(), more.end());
    auto shop = std::make_unique<Child>(argv, log());
    EXPECT_TRUE(eventually([&] { return read(log()).contains("listens on port ") && !read(pid_file()).empty(); }))
        << read(log());
    const auto text = read(log());
    port_ = std::to_string(std::stoi(text.substr(text.find("port ") + 5)));
    return shop;
  }
  json load(const std::string& seed, const std::string& seconds = "1") {
    const auto finished = run({FORESHADOW_HTTP_LOAD, "--target", "127.0.0.1:" + port_, "--rate", "100", "--seconds",
                               seconds, "--seed", seed, "--acknowledged", dir_ / "acknowledged"});
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return json::parse(finished.out);
  }
  std::pair<int, json> verify(const std::vector<std::string>& tables) {
    std::vector<std::string> argv{FORESHADOW_LEDGER_VERIFY, "--acknowledged", dir_ / "acknowledged", "--database",
                                  cluster_.conninfo()};
    for (const auto& table : tables) argv.insert(argv.end(), {"--table", table});
    const auto finished = run(argv);
    return {finished.exit_code, json::parse(finished.out)};
  }
  // One request by hand; the status and the body.
  std::string curl(const std::string& request) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<std::uint16_t>(std::stoi(port_)));
    EXPECT_EQ(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::send(fd, request.data(), request.size(), MSG_NOSIGNAL), static_cast<ssize_t>(request.size()));
    std::string answer;
    char chunk[4096];
    for (ssize_t n = 0; (n = ::recv(fd, chunk, sizeof chunk, 0)) > 0;)
      answer.append(chunk, static_cast<std::size_t>(n));
    ::close(fd);
    return answer;
  }
  std::string post(const std::string& body, const std::string& header = "") {
    return curl("POST /orders HTTP/1.1\r\nConnection: close\r\n" + header +
                "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  std::string get(const std::string& path) { return curl("GET " + path + " HTTP/1.1\r\nConnection: close\r\n\r\n"); }

  testing::PgDirectory directory_;
  PgCluster cluster_;
  testing::TempDir dir_;
  std::string port_;
};

TEST_F(ShopTest, AMirroredOrderIsDoneAndRolledBack) {
  const auto shop = start_shop();
  EXPECT_TRUE(post(R"({"op":"a","amount":3})", "Foreshadow-Mirror: 1\r\n").starts_with("HTTP/1.1 201 "));
  EXPECT_TRUE(get("/orders/a").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(post(R"({"op":"a","amount":3})").starts_with("HTTP/1.1 201 "));
  EXPECT_TRUE(get("/orders/a").contains(R"({"ledger":1,"op":"a","orders":1})"));
  EXPECT_EQ(cluster_.exec("SELECT count(*) FROM ledger"), "1");
}

TEST_F(ShopTest, AMirroredOrderWaitsForNoLockLong) {
  const auto shop = start_shop();
  // Somebody holds the table; the copy must give up by its own timeout, and a real order would wait.
  Child holder({"/bin/sh", "-c",
                "exec " + PgCluster::bin_dir() + "/psql -X -d '" + cluster_.conninfo() +
                    "' -c 'BEGIN; LOCK TABLE orders IN EXCLUSIVE MODE; SELECT pg_sleep(30)'"},
               dir_ / "holder.log");
  ASSERT_TRUE(eventually([&] {
    return cluster_.exec(
               "SELECT count(*) FROM pg_locks WHERE relation = 'orders'::regclass AND mode = 'ExclusiveLock' AND "
               "granted") == "1";
  }));
  EXPECT_TRUE(post(R"({"op":"a","amount":3})", "Foreshadow-Mirror: 1\r\n").starts_with("HTTP/1.1 503 "));
}

TEST_F(ShopTest, BadRequestsGetHonestAnswers) {
  const auto shop = start_shop();
  EXPECT_TRUE(get("/healthz").starts_with("HTTP/1.1 200 "));
  EXPECT_TRUE(get("/products/7").contains("product 7"));
  EXPECT_TRUE(get("/products/seven").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(get("/products/99999999").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(get("/nowhere").starts_with("HTTP/1.1 404 "));
  EXPECT_TRUE(get("/orders").starts_with("HTTP/1.1 405 "));
  EXPECT_TRUE(post("not json").starts_with("HTTP/1.1 400 "));
  EXPECT_TRUE(post(R"({"op":"a","amount":"three"})").starts_with("HTTP/1.1 400 "));
  cluster_.stop(testing::PgStop::immediate);
  EXPECT_TRUE(get("/healthz").starts_with("HTTP/1.1 503 "));
  EXPECT_TRUE(post(R"({"op":"a","amount":3})").starts_with("HTTP/1.1 503 "));
  cluster_.start();
  // Each of its connections notices the restart when it is next used.
  EXPECT_TRUE(testing::eventually([&] { return get("/healthz").starts_with("HTTP/1.1 200 "); }))
      << "it must find its database again";
}

TEST_F(ShopTest, LoadAndLedgerAgreeUntilSomeoneMeddles) {
  const auto shop = start_shop();
  const auto report = load("5");
  EXPECT_EQ(report["failed"], 0) << report["failed_by_class"].dump();
  ASSERT_GT(report["writes_acknowledged"], 10);

  auto [code, verdict] = verify({"orders", "ledger"});
  EXPECT_EQ(code, 0) << verdict.dump();
  EXPECT_EQ(verdict["writes_acknowledged"], report["writes_acknowledged"]);
  EXPECT_EQ(verdict["unacknowledged_present"], 0);

  cluster_.exec("DELETE FROM ledger WHERE ctid = (SELECT min(ctid) FROM ledger)");
  std::tie(code, verdict) = verify({"orders", "ledger"});
  EXPECT_EQ(code, 1);
  EXPECT_EQ(verdict["writes_lost"], 1);

  cluster_.exec("INSERT INTO orders SELECT * FROM orders ORDER BY op DESC LIMIT 1");
  std::tie(code, verdict) = verify({"orders"});
  EXPECT_EQ(code, 1);
  EXPECT_EQ(verdict["writes_doubled"], 1);
}

TEST_F(ShopTest, SigtermEndsItWithNothingUnfinished) {
  auto shop = start_shop();
  shop->signal(SIGTERM);
  std::optional<int> status;
  ASSERT_TRUE(eventually([&] { return (status = shop->ended()).has_value(); }));
  EXPECT_TRUE(WIFEXITED(*status) && WEXITSTATUS(*status) == 0) << read(log());
  EXPECT_NE(::access(pid_file().c_str(), F_OK), 0);
}

#if !defined(__has_feature) || !(__has_feature(address_sanitizer) || __has_feature(thread_sanitizer))
// The sanitizers' shadow memory fits into no limit.
TEST_F(ShopTest, ALeakEndsInASuddenDeath) {
  auto shop = start_shop({"--leak", "1000000", "--rlimit-bytes", "60000000"});
  const auto report = load("1", "4");
  EXPECT_GT(report["writes_acknowledged"], 10);
  EXPECT_GT(report["failed"], 0);
  std::optional<int> status;
  ASSERT_TRUE(eventually([&] { return (status = shop->ended()).has_value(); }));
  EXPECT_TRUE(WIFSIGNALED(*status) && WTERMSIG(*status) == SIGKILL);
  EXPECT_EQ(::access(pid_file().c_str(), F_OK), 0) << "a killed process cleans nothing up";
  EXPECT_EQ(verify({"orders", "ledger"}).first, 0) << "what was acknowledged before the death must be there";
}
#endif

class PgLoadTest : public ShopTest {
 protected:
  void SetUp() override {
    ShopTest::SetUp();
    if (IsSkipped()) return;
    cluster_.exec("CREATE TABLE ledger (op text, payload bytea, at timestamptz DEFAULT clock_timestamp())");
  }
  json pg_load(const std::string& seconds = "1") {
    const auto finished =
        run({FORESHADOW_PG_LOAD, "--database", cluster_.conninfo(), "--rate", "100", "--read-rate", "20", "--seconds",
             seconds, "--seed", "3", "--writers", "4", "--timeout", "5", "--acknowledged", dir_ / "acknowledged"});
    EXPECT_EQ(finished.exit_code, 0) << finished.err;
    return json::parse(finished.out);
  }
};

TEST_F(PgLoadTest, AcknowledgesWhatIsThere) {
  const auto report = pg_load();
  EXPECT_EQ(report["failed"], 0) << report["failed_by_class"].dump();
  EXPECT_GT(report["by_kind"]["read"], 5);
  // Pairs make more operations than transactions.
  EXPECT_GT(report["writes_acknowledged"], report["by_kind"]["write"]);
  const auto [code, verdict] = verify({"ledger"});
  EXPECT_EQ(code, 0) << verdict.dump();
  EXPECT_EQ(cluster_.exec("SELECT count(*) FROM ledger"), std::to_string(report["writes_acknowledged"].get<int>()));
  EXPECT_EQ(cluster_.exec("SELECT min(length(payload)) >= 4096 AND max(length(payload)) <= 8192 FROM ledger"), "t");
}

TEST_F(PgLoadTest, ARefusedWriteIsCountedByItsSqlstateAndNotAcknowledged) {
  cluster_.exec("ALTER TABLE ledger ADD CHECK (op NOT LIKE '%b')");
  const auto report = pg_load();
  const int refused = report["failed_by_class"].value("sqlstate_23514", 0);
  EXPECT_GT(refused, 5);
  EXPECT_EQ(report["failed"], refused) << report["failed_by_class"].dump();
  EXPECT_EQ(cluster_.exec("SELECT count(*) FROM ledger WHERE op LIKE '%a'"), "0")
      << "its pair must have been rolled back";
  EXPECT_EQ(verify({"ledger"}).first, 0);
}

TEST_F(PgLoadTest, ADeathIsNeitherHiddenNorRetried) {
  std::thread killer([&] {
    eventually([&] { return cluster_.exec("SELECT count(*) > 50 FROM ledger") == "t"; });
    cluster_.kill();
  });
  const auto report = pg_load("3");
  killer.join();
  EXPECT_GT(report["failed"], 50);
  EXPECT_GT(report["failed_by_class"].value("refused", 0), 0) << report["failed_by_class"].dump();
  EXPECT_FALSE(report["first_failure_s"].is_null());
  cluster_.start();
  const auto [code, verdict] = verify({"ledger"});
  EXPECT_EQ(code, 0) << verdict.dump();
}

}  // namespace
}  // namespace foreshadow
