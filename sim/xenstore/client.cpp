#include "sim/xenstore/client.hpp"

#include <cerrno>

#include "sim/xenstore/request.hpp"

namespace ringside::sim::xenstore {

namespace {

std::string terminated(std::string_view text) { return std::string(text) + '\0'; }

}  // namespace

std::optional<std::string> Client::read(std::string_view path, uint32_t transaction) {
  std::string answer;
  if (request(XS_READ, transaction, terminated(path), answer) != 0) return std::nullopt;
  return answer;
}

int Client::write(std::string_view path, std::string_view value, uint32_t transaction) {
  std::string answer;
  return request(XS_WRITE, transaction, terminated(path).append(value), answer);
}

int Client::mkdir(std::string_view path, uint32_t transaction) {
  std::string answer;
  return request(XS_MKDIR, transaction, terminated(path), answer);
}

int Client::remove(std::string_view path, uint32_t transaction) {
  std::string answer;
  return request(XS_RM, transaction, terminated(path), answer);
}

int Client::list(std::string_view path, uint32_t transaction, std::string& names) {
  const int error = request(XS_DIRECTORY, transaction, terminated(path), names);
  if (error != E2BIG) return error;
  // In parts; from the start again whenever the children changed meanwhile.
  std::string generation;
  for (names.clear();;) {
    std::string part;
    const std::string offset = std::to_string(names.size());
    if (const int failed =
            request(XS_DIRECTORY_PART, transaction, terminated(path) + terminated(offset), part)) {
      return failed;
    }
    const size_t stamp_end = part.find('\0') + 1;
    if (!names.empty() && part.compare(0, stamp_end, generation) != 0) {
      names.clear();
      continue;
    }
    generation = part.substr(0, stamp_end);
    const bool last = part.size() == stamp_end + 1 || part.ends_with(std::string_view("\0\0", 2));
    names.append(part, stamp_end, part.size() - stamp_end - (last ? 1 : 0));
    if (last) return 0;
  }
}

std::vector<std::string> Client::directory(std::string_view path, uint32_t transaction) {
  std::string answer;
  if (list(path, transaction, answer) != 0) return {};
  std::vector<std::string> names;
  for (const std::string_view name : strings_of(answer)) names.emplace_back(name);
  return names;
}

bool Client::exists(std::string_view path, uint32_t transaction) {
  return read(path, transaction).has_value();
}

int Client::set_permissions(std::string_view path, const std::vector<std::string>& permissions,
                            uint32_t transaction) {
  std::string payload = terminated(path);
  for (const std::string& permission : permissions) payload += terminated(permission);
  std::string answer;
  return request(XS_SET_PERMS, transaction, payload, answer);
}

uint32_t Client::begin() {
  std::string answer;
  if (request(XS_TRANSACTION_START, 0, terminated(""), answer) != 0) return 0;
  return static_cast<uint32_t>(number_of(answer.c_str()).value_or(0));
}

int Client::commit(uint32_t transaction) {
  std::string answer;
  return request(XS_TRANSACTION_END, transaction, terminated("T"), answer);
}

int Client::abort(uint32_t transaction) {
  std::string answer;
  return request(XS_TRANSACTION_END, transaction, terminated("F"), answer);
}

int Client::watch(std::string_view path, std::string_view token) {
  std::string answer;
  return request(XS_WATCH, 0, terminated(path) + terminated(token), answer);
}

int Client::unwatch(std::string_view path, std::string_view token) {
  std::string answer;
  return request(XS_UNWATCH, 0, terminated(path) + terminated(token), answer);
}

}  // namespace ringside::sim::xenstore
