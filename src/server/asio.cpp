// SPDX-License-Identifier: Apache-2.0
// The part of Asio and Beast that is no template, compiled once (BOOST_ASIO_SEPARATE_COMPILATION).
#include <boost/asio/impl/src.hpp>
#include <boost/beast/src.hpp>
