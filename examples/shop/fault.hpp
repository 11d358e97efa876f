// The fault that the demo plays: memory leaked on every order, and the death that follows. Without a leak this does
// nothing.
#pragma once

#include <cstddef>
#include <string>

namespace shop {

// Caps the process's data (RLIMIT_DATA counts private writable memory since Linux 4.7), for machines where no memory
// cgroup can be made. False, with the reason, if the kernel refused.
bool limit_memory(std::size_t bytes, std::string& why);

// Takes `bytes`, touches every page and forgets it. When there is none to be had the process dies on the spot, as the
// kernel's OOM killer would end it: no cleanup, no answer to anyone. Thread-safe.
void leak(std::size_t bytes);

}  // namespace shop
