// SPDX-License-Identifier: Apache-2.0
// Telling the service manager how far the server is: the protocol of sd_notify(3), which systemd and others speak.
#pragma once

#include <string_view>

namespace tacit {

// Sends `state` ("READY=1", "STOPPING=1", several of them on lines of their own) to the datagram socket that $NOTIFY_SOCKET
// names. Does nothing where there is none: then nobody waits for it.
void notify_service_manager(std::string_view state);

}  // namespace tacit
