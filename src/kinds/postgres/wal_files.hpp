// pg_wal of a data directory, as pages for our own reader. Only reads, and only files of one timeline.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.hpp"
#include "kinds/postgres/data_dir.hpp"
#include "kinds/postgres/lsn.hpp"
#include "kinds/postgres/wal_tail.hpp"

namespace foreshadow::kinds::postgres {

// scan_wal() over the files of a cluster whose server is dead. corrupt: doubt (so is a version whose pages we do not
// know, and a file of another size than its neighbours); io: a file cannot be read.
Result<WalTail> scan_wal_files(const DataDir& dir, std::uint32_t timeline, Lsn start, Lsn from);

// Every WAL file has the size that initdb chose; asking pg_controldata would cost a process while clients wait.
// Nothing: there is no file to tell.
std::optional<std::uint64_t> wal_segment_bytes(const DataDir& dir);

// "000000010000000000000003": the file of a timeline that holds an address.
std::string wal_file_name(std::uint32_t timeline, std::uint64_t address, std::uint64_t segment_bytes);

}  // namespace foreshadow::kinds::postgres
