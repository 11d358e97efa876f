// Precompiled for the data plane: Boost.Asio is half of every compile there.
#pragma once

#include <boost/asio.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <memory>
#include <string>
#include <vector>
