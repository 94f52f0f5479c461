#include "sim/xenstore/local_client.hpp"

#include <cerrno>
#include <utility>

#include "sim/xenstore/request.hpp"
#include "sim/xenstore/server.hpp"
#include "sim/xenstore/wire_errors.hpp"

namespace ringside::sim::xenstore {

namespace {

std::string terminated(std::string_view text) { return std::string(text) + '\0'; }

}  // namespace

LocalClient::LocalClient(Server& server, DomainId domain)
    : server_(server), connection_(server.connect(domain)) {}

LocalClient::~LocalClient() {
  server_.on_output(*connection_, {});
  server_.disconnect(*connection_);
}

int LocalClient::request(xsd_sockmsg_type type, uint32_t transaction, std::string_view payload,
                         std::string& answer) {
  if (payload.size() > XENSTORE_PAYLOAD_MAX) return E2BIG;
  Message message;
  message.header.type = type;
  message.header.tx_id = transaction;
  message.header.len = static_cast<uint32_t>(payload.size());
  message.payload = payload;
  Message reply = server_.exchange(*connection_, message);
  if (reply.header.type == XS_ERROR) return error_number(reply.payload.c_str());
  answer = std::move(reply.payload);
  return 0;
}

std::optional<std::string> LocalClient::read(std::string_view path, uint32_t transaction) {
  std::string answer;
  if (request(XS_READ, transaction, terminated(path), answer) != 0) return std::nullopt;
  return answer;
}

int LocalClient::write(std::string_view path, std::string_view value, uint32_t transaction) {
  std::string answer;
  return request(XS_WRITE, transaction, terminated(path).append(value), answer);
}

int LocalClient::mkdir(std::string_view path, uint32_t transaction) {
  std::string answer;
  return request(XS_MKDIR, transaction, terminated(path), answer);
}

int LocalClient::remove(std::string_view path, uint32_t transaction) {
  std::string answer;
  return request(XS_RM, transaction, terminated(path), answer);
}

int LocalClient::list(std::string_view path, uint32_t transaction, std::string& names) {
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

std::vector<std::string> LocalClient::directory(std::string_view path, uint32_t transaction) {
  std::string answer;
  if (list(path, transaction, answer) != 0) return {};
  std::vector<std::string> names;
  for (const std::string_view name : strings_of(answer)) names.emplace_back(name);
  return names;
}

bool LocalClient::exists(std::string_view path, uint32_t transaction) {
  return read(path, transaction).has_value();
}

int LocalClient::set_permissions(std::string_view path, const std::vector<std::string>& permissions,
                                 uint32_t transaction) {
  std::string payload = terminated(path);
  for (const std::string& permission : permissions) payload += terminated(permission);
  std::string answer;
  return request(XS_SET_PERMS, transaction, payload, answer);
}

uint32_t LocalClient::begin() {
  std::string answer;
  if (request(XS_TRANSACTION_START, 0, terminated(""), answer) != 0) return 0;
  return static_cast<uint32_t>(number_of(answer.c_str()).value_or(0));
}

int LocalClient::commit(uint32_t transaction) {
  std::string answer;
  return request(XS_TRANSACTION_END, transaction, terminated("T"), answer);
}

int LocalClient::abort(uint32_t transaction) {
  std::string answer;
  return request(XS_TRANSACTION_END, transaction, terminated("F"), answer);
}

int LocalClient::watch(std::string_view path, std::string_view token) {
  std::string answer;
  return request(XS_WATCH, 0, terminated(path) + terminated(token), answer);
}

int LocalClient::unwatch(std::string_view path, std::string_view token) {
  std::string answer;
  return request(XS_UNWATCH, 0, terminated(path) + terminated(token), answer);
}

std::optional<WatchEvent> LocalClient::next_event() {
  const auto event = server_.take_event(*connection_);
  if (!event) return std::nullopt;
  const auto strings = strings_of(event->payload);
  return WatchEvent{std::string(strings[0]), std::string(strings[1])};
}

void LocalClient::on_event(std::function<void()> wake) {
  server_.on_output(*connection_, std::move(wake));
}

}  // namespace ringside::sim::xenstore
