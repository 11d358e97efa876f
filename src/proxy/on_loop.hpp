// Calls that a control thread makes on the threads of clients, and waits for. Never to be used on one of those.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <future>
#include <memory>
#include <type_traits>
#include <utility>
#include <vector>

namespace foreshadow::proxy {

// `call` on the context's thread. The context must be running. Whatever `call` refers to outlives the future's get().
template <class F>
std::future<std::invoke_result_t<F>> ask(boost::asio::io_context& context, F call) {
  // Shared, because the answer may be taken before set_value() has returned.
  auto promise = std::make_shared<std::promise<std::invoke_result_t<F>>>();
  auto answer = promise->get_future();
  boost::asio::post(context, [promise = std::move(promise), call = std::move(call)]() mutable {
    if constexpr (std::is_void_v<std::invoke_result_t<F>>) {
      call();
      promise->set_value();
    } else {
      promise->set_value(call());
    }
  });
  return answer;
}

// The same for each of several things that live on threads of their own, at the same time. Answers in their order.
template <class Things, class ContextOf, class F>
auto ask_each(Things& things, ContextOf context_of, F& call) {
  using R = std::invoke_result_t<F&, decltype(*things.begin())>;
  std::vector<std::future<R>> asked;
  asked.reserve(things.size());
  for (auto& thing : things) asked.push_back(ask(context_of(thing), [&thing, &call] { return call(thing); }));
  if constexpr (std::is_void_v<R>) {
    for (auto& answer : asked) answer.get();
  } else {
    std::vector<R> answers;
    answers.reserve(asked.size());
    for (auto& answer : asked) answers.push_back(answer.get());
    return answers;
  }
}

}  // namespace foreshadow::proxy
