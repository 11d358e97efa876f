// HTTP/2 for the loader, with nghttp2: each request is a stream, answers of any size flow without waiting for windows.
// A stream that is reset, or ends short of its Content-Length, is an answer with status 0.
#pragma once

#include <nghttp2/nghttp2.h>

#include <memory>
#include <string>
#include <vector>

#include "talk.hpp"

namespace foreshadow::bench {

class H2Talk final : public Talk {
 public:
  // `scheme`: of the requests.
  H2Talk(std::string path, std::string scheme, std::size_t places);
  H2Talk(const H2Talk&) = delete;
  H2Talk& operator=(const H2Talk&) = delete;

  void ask(std::size_t place, std::uint64_t write) override;
  bool feed(std::string_view bytes, std::vector<Answer>& answers) override;
  void take_output(std::string& out) override;
  bool takes_more() const override { return takes_more_; }

 private:
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name, std::size_t name_length,
                       const std::uint8_t* value, std::size_t length, std::uint8_t flags, void* self);
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* self);
  static int on_close(nghttp2_session*, std::int32_t stream, std::uint32_t error, void* self);

  struct Stream {
    std::int32_t id = 0;
    int status = 0;
  };
  Stream* find(std::int32_t id);
  void collect();

  const std::string path_;
  const std::string scheme_;
  std::vector<Stream> streams_;  // by place; few, so that looking through them is cheap
  std::vector<Answer> answered_;
  std::string output_;
  bool takes_more_ = true;
  std::unique_ptr<nghttp2_session, decltype(&nghttp2_session_del)> session_{nullptr, nghttp2_session_del};
};

}  // namespace foreshadow::bench
