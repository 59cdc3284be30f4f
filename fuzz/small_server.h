// SPDX-License-Identifier: Apache-2.0
// The server's application with one small model and a state folder in memory, and how to ask it without sockets.
#pragma once

#include <filesystem>
#include <memory>

#include "server/application.h"
#include "server/model_fixture.h"
#include "server/temporary_folder.h"

namespace tacit::fuzz {

// The model "lenet" of the server's tests.
const plan::Package& small_package();

class SmallServer {
 public:
  SmallServer();

  server::Application& operator*() { return *application_; }
  server::Application* operator->() { return application_.get(); }
  // Ends the application, and requires that its state folder is in order.
  void end();

  // The whole of one exchange; a body that is made while it is sent is given up. Requires that the answer is one that this
  // server gives: no 5xx but busy ones, and a problem document for each refusal.
  server::Response ask(server::RequestHead head, Bytes body);

 private:
  server::TemporaryFolder folder_;
  std::unique_ptr<server::Application> application_;
};

}  // namespace tacit::fuzz
