// SPDX-License-Identifier: Apache-2.0
#include "secret/passphrase.h"

#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

namespace tacit::secret {
namespace {

class Descriptor {
 public:
  Descriptor(const std::filesystem::path& path, int flags) : fd_(::open(path.c_str(), flags | O_CLOEXEC)) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool open() const { return fd_ >= 0; }

 private:
  int fd_;
};

// Switches a terminal's echo off and, on destruction, back to what it was.
class EchoOff {
 public:
  explicit EchoOff(int fd) : fd_(fd), changed_(::tcgetattr(fd, &before_) == 0) {
    if (!changed_) return;
    termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    changed_ = ::tcsetattr(fd, TCSAFLUSH, &silent) == 0;
  }
  ~EchoOff() {
    if (changed_) ::tcsetattr(fd_, TCSAFLUSH, &before_);
  }
  EchoOff(const EchoOff&) = delete;
  EchoOff& operator=(const EchoOff&) = delete;
  bool changed() const { return changed_; }

 private:
  int fd_;
  termios before_{};
  bool changed_;
};

volatile sig_atomic_t caught_signal = 0;

// Holds back the signals that end the program until the terminal's echo is on again, then raises the one that
// came.
class SignalsHeld {
 public:
  SignalsHeld() {
    caught_signal = 0;
    struct sigaction note {};
    note.sa_handler = [](int signal) {
      caught_signal = signal;
    };  // without SA_RESTART: read() ends with EINTR
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &note, &before_[i]);
  }
  ~SignalsHeld() {
    for (std::size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
    if (caught_signal != 0) ::raise(caught_signal);
  }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

 private:
  static constexpr std::array<int, 4> kSignals{SIGINT, SIGTERM, SIGHUP, SIGQUIT};
  std::array<struct sigaction, kSignals.size()> before_{};
};

Error too_long() {
  return Error{ErrorCode::kInvalidArgument,
               "a passphrase has at most " + std::to_string(Passphrase::kMaxBytes) + " bytes"};
}

Error no_memory() { return Error{ErrorCode::kOutOfMemory, "there is no memory for the passphrase"}; }

// Whether somebody can be asked without the answer showing. To open a terminal costs nothing and shows
// nothing.
bool can_ask(const std::filesystem::path& terminal) {
  Descriptor tty(terminal, O_RDWR | O_NOCTTY);
  return tty.open() && ::isatty(tty.get()) == 1;
}

void write_all(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t put = ::write(fd, text.data(), text.size());
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) return;
    text.remove_prefix(static_cast<std::size_t>(put));
  }
}

}  // namespace

// Reads bytes straight into locked memory, so that no copy is left in a buffer of the standard library.
class PassphraseReader {
 public:
  static Result<Passphrase> whole_file(const std::filesystem::path& path) {
    Descriptor file(path, O_RDONLY);
    if (!file.open()) {
      ErrorCode code =
          errno == ENOENT || errno == ENOTDIR ? ErrorCode::kFileNotFound : ErrorCode::kFileUnreadable;
      return Error{code, "cannot open the passphrase file " + path.string() + ": " + std::strerror(errno)};
    }
    // Two bytes more than allowed, for a line break of either kind.
    TACIT_TRY(Passphrase text, read(file.get(), Passphrase::kMaxBytes + 2, false));
    if (text.size_ != 0 && text.buffer_.data()[text.size_ - 1] == '\n') --text.size_;
    if (text.size_ != 0 && text.buffer_.data()[text.size_ - 1] == '\r') --text.size_;
    if (text.size_ == 0) {
      return Error{ErrorCode::kInvalidArgument, "the passphrase file " + path.string() + " is empty"};
    }
    if (text.size_ > Passphrase::kMaxBytes) return too_long();
    return text;
  }

  static Result<Passphrase> line(int terminal) {
    TACIT_TRY(Passphrase text, read(terminal, Passphrase::kMaxBytes + 1, true));
    if (text.size_ > Passphrase::kMaxBytes) return too_long();
    if (text.size_ == 0) return Error{ErrorCode::kPassphraseMissing, "no passphrase was typed"};
    return text;
  }

 private:
  // Up to `limit` bytes, until the end or, where `one_line`, a line break (which is taken and left out).
  static Result<Passphrase> read(int fd, std::size_t limit, bool one_line) {
    Passphrase text;
    text.buffer_ = SecureBuffer<char>(limit);
    if (!text.buffer_.valid()) return no_memory();
    while (text.size_ < limit) {
      std::size_t wanted = one_line ? 1 : limit - text.size_;
      ssize_t got = ::read(fd, text.buffer_.data() + text.size_, wanted);
      if (got < 0 && errno == EINTR && (!one_line || caught_signal == 0)) continue;
      if (got < 0) {
        return Error{ErrorCode::kFileUnreadable,
                     std::string("cannot read the passphrase: ") + std::strerror(errno)};
      }
      if (got == 0 || (one_line && text.buffer_.data()[text.size_] == '\n')) return text;
      text.size_ += static_cast<std::size_t>(got);
    }
    return text;
  }
};

Result<Passphrase> Passphrase::from(std::string_view text) {
  if (text.empty()) return Error{ErrorCode::kInvalidArgument, "the passphrase is empty"};
  if (text.size() > kMaxBytes) return too_long();
  Passphrase passphrase;
  passphrase.buffer_ = SecureBuffer<char>(text.size());
  if (!passphrase.buffer_.valid()) return no_memory();
  std::memcpy(passphrase.buffer_.data(), text.data(), text.size());
  passphrase.size_ = text.size();
  return passphrase;
}

bool PassphraseSource::available() const {
  return !file.empty() || std::getenv(kPassphraseVariable) != nullptr || can_ask(terminal);
}

Result<Passphrase> PassphraseSource::get(PassphraseUse use, std::string_view purpose) const {
  if (!file.empty()) return PassphraseReader::whole_file(file);
  if (const char* text = std::getenv(kPassphraseVariable)) {
    auto passphrase = Passphrase::from(text);
    if (!passphrase) return std::move(passphrase).error().within(kPassphraseVariable);
    return passphrase;
  }
  Descriptor tty(terminal, O_RDWR | O_NOCTTY);
  if (!tty.open() || ::isatty(tty.get()) != 1) {
    return Error{ErrorCode::kPassphraseMissing,
                 "the passphrase of " + std::string(purpose) +
                     " is needed and there is no terminal to ask at; give "
                     "it with --passphrase-file FILE or in the environment variable " +
                     kPassphraseVariable};
  }
  SignalsHeld signals_held;  // outlives echo_off
  EchoOff echo_off(tty.get());
  if (!echo_off.changed()) {
    return Error{ErrorCode::kPassphraseMissing,
                 "the terminal's echo cannot be switched off; give the passphrase with "
                 "--passphrase-file FILE or in the environment variable " +
                     std::string(kPassphraseVariable)};
  }
  bool create = use == PassphraseUse::kCreate;
  write_all(tty.get(), (create ? "New passphrase for " : "Passphrase of ") + std::string(purpose) + ": ");
  auto first = PassphraseReader::line(tty.get());
  write_all(tty.get(), "\n");
  if (!first || !create) return first;
  write_all(tty.get(), "The same again: ");
  auto second = PassphraseReader::line(tty.get());
  write_all(tty.get(), "\n");
  if (!second) return second;
  if (first->view().size() != second->view().size() ||
      sodium_memcmp(first->view().data(), second->view().data(), first->view().size()) != 0) {
    return Error{ErrorCode::kPassphraseMismatch, "the two passphrases differ; start again"};
  }
  return first;
}

}  // namespace tacit::secret
