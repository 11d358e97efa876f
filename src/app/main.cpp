#include "app/cli.hpp"

// Read by jemalloc(3), which this program is linked with: what thousands of clients left behind goes back to the system
// a second later, by a thread that does nothing else.
extern "C" const char* malloc_conf;
const char* malloc_conf = "background_thread:true,dirty_decay_ms:1000,muzzy_decay_ms:0";

int main(int argc, char** argv) { return foreshadow::app::run_command_line(argc, argv); }
