#include "conformance/daemons/store_script.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <optional>
#include <sstream>
#include <utility>

#include "conformance/daemons/payload_text.hpp"
#include "conformance/report/outcome.hpp"
#include "conformance/rig/host.hpp"

namespace ringside::conformance {
namespace {

using Message = StorePeer::Message;

const std::map<std::string_view, uint32_t> kTypes = {
    {"CONTROL", XS_CONTROL},
    {"DIRECTORY", XS_DIRECTORY},
    {"READ", XS_READ},
    {"GET_PERMS", XS_GET_PERMS},
    {"WATCH", XS_WATCH},
    {"UNWATCH", XS_UNWATCH},
    {"TRANSACTION_START", XS_TRANSACTION_START},
    {"TRANSACTION_END", XS_TRANSACTION_END},
    {"INTRODUCE", XS_INTRODUCE},
    {"RELEASE", XS_RELEASE},
    {"GET_DOMAIN_PATH", XS_GET_DOMAIN_PATH},
    {"WRITE", XS_WRITE},
    {"MKDIR", XS_MKDIR},
    {"RM", XS_RM},
    {"SET_PERMS", XS_SET_PERMS},
    {"WATCH_EVENT", XS_WATCH_EVENT},
    {"ERROR", XS_ERROR},
    {"IS_DOMAIN_INTRODUCED", XS_IS_DOMAIN_INTRODUCED},
    {"RESUME", XS_RESUME},
    {"SET_TARGET", XS_SET_TARGET},
    {"RESET_WATCHES", XS_RESET_WATCHES},
    {"DIRECTORY_PART", XS_DIRECTORY_PART},
};

uint32_t type_of(const std::string& word) {
  const auto found = kTypes.find(word);
  return found != kTypes.end() ? found->second : static_cast<uint32_t>(std::stoul(word));
}

std::string name_of(uint32_t type) {
  for (const auto& [name, number] : kTypes) {
    if (number == type) return std::string(name);
  }
  return std::to_string(type);
}

std::string next_word(std::string_view& rest) {
  const size_t end = std::min(rest.find(' '), rest.size());
  std::string word(rest.substr(0, end));
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

std::string replaced(std::string text, std::string_view what, const std::string& with) {
  for (size_t at; (at = text.find(what)) != std::string::npos;) text.replace(at, what.size(), with);
  return text;
}

struct Connection {
  std::unique_ptr<StorePeer> peer;
  std::vector<std::string> events;  // of the current step
  bool closed = false;
};

class Runner {
 public:
  explicit Runner(StoreHost& host) : host_(host) {}

  /// The outcome of one line, events included.
  std::string run(const std::string& line) {
    std::string outcome = carry_out(line);
    for (auto& [name, connection] : connections_) {
      if (!connection.closed) settle(connection);
      std::sort(connection.events.begin(), connection.events.end());
      if (connection.events.empty()) continue;
      outcome += fmt::format("; {} told {}", name, fmt::join(connection.events, " "));
      connection.events.clear();
    }
    return outcome;
  }

 private:
  std::string carry_out(const std::string& line) {
    std::string_view rest = line;
    const std::string first = next_word(rest);
    if (first == "open") return open(rest);
    if (first == "close") return close(std::string(rest));
    if (first == "list") return list(rest);
    if (first == "repeat") return repeat(rest);
    if (first == "domain" || first == "shutdown" || first == "destroy") {
      return domain(first, rest);
    }
    return operate(connections_.at(first), rest);
  }

  std::string domain(const std::string& verb, std::string_view rest) {
    const auto domid = static_cast<uint16_t>(std::stoul(next_word(rest)));
    if (verb == "domain") host_.create_domain(domid);
    if (verb == "shutdown") host_.shut_down(domid);
    if (verb == "destroy") host_.destroy(domid);
    if (!rest.empty()) await(connections_.at(std::string(rest)));
    return "done";
  }

  std::string open(std::string_view rest) {
    Connection made;
    const std::string name = next_word(rest);
    made.peer =
        rest.empty()
            ? connect_socket(host_.socket())
            : connect_ring(host_.ring(static_cast<uint16_t>(std::stoul(std::string(rest)))));
    if (made.peer == nullptr) return "refused";
    connections_.insert_or_assign(name, std::move(made));
    return "done";
  }

  std::string close(const std::string& name) {
    if (connections_.erase(name) == 0) throw Problem("no connection " + name);
    return "done";
  }

  /// What Xen tells the daemon reaches it in its own time.
  void await(Connection& connection) {
    const auto message = connection.peer->receive();
    if (!message) throw Stuck("the connection ended");
    note_event(connection, *message);
  }

  /// One directory in as many parts as it takes.
  std::string list(std::string_view rest) {
    Connection& connection = connections_.at(next_word(rest));
    const std::string path = bytes_of_text(rest) + '\0';
    std::string names;
    for (int parts = 1;; ++parts) {
      const auto reply =
          ask(connection, 0, XS_DIRECTORY_PART, path + std::to_string(names.size()) + '\0');
      if (!reply || reply->header.type == XS_ERROR) return shown(reply);
      const std::string_view part =
          std::string_view(reply->payload).substr(reply->payload.find('\0') + 1);
      names += part;
      if (part.ends_with(std::string_view("\0\0", 2)) || part.size() <= 1) {
        return fmt::format("{} bytes of names", names.size() - 1);
      }
      if (parts > 1000) throw Stuck("a directory without end");
    }
  }

  std::string repeat(std::string_view rest) {
    const int from = std::stoi(next_word(rest));
    const int to = std::stoi(next_word(rest));
    Connection& connection = connections_.at(next_word(rest));
    std::vector<std::pair<std::string, int>> counts;
    for (int i = from; i <= to; ++i) {
      const std::string reply =
          operate(connection, replaced(std::string(rest), "$i", std::to_string(i)));
      if (counts.empty() || counts.back().first != reply) counts.emplace_back(reply, 0);
      ++counts.back().second;
    }
    std::string all;
    for (const auto& [reply, count] : counts) all += fmt::format("{} x {}, ", count, reply);
    return all.substr(0, all.size() - 2);
  }

  std::string operate(Connection& connection, std::string_view rest) {
    uint32_t transaction = 0;
    if (rest.starts_with('@')) {
      const std::string name = next_word(rest).substr(1);
      transaction = transactions_.contains(name) ? transactions_.at(name)
                                                 : static_cast<uint32_t>(std::stoul(name));
    }
    const uint32_t type = type_of(next_word(rest));
    std::string keep;
    if (const size_t at = rest.find(" > "); at != std::string_view::npos) {
      keep = rest.substr(at + 3);
      rest = rest.substr(0, at);
    }
    const auto reply = ask(connection, transaction, type, bytes_of_text(with_places(rest)));
    if (!keep.empty() && reply && reply->header.type != XS_ERROR) {
      transactions_[keep] = static_cast<uint32_t>(std::stoul(reply->payload));
    }
    return shown(reply);
  }

  /// $frameN and $portN with what they stand for.
  std::string with_places(std::string_view text) {
    std::string all(text);
    if (const size_t at = all.find("$frame"); at != std::string::npos) {
      const auto domid = static_cast<uint16_t>(std::stoul(all.substr(at + 6)));
      const std::string number = std::to_string(domid);
      all = replaced(all, "$frame" + number, std::to_string(host_.store_frame(domid)));
      all = replaced(all, "$port" + number, std::to_string(host_.store_port(domid)));
    }
    return all;
  }

  /// Sends a request and takes its reply; nothing when the daemon hangs up instead.
  std::optional<Message> ask(Connection& connection, uint32_t transaction, uint32_t type,
                             std::string payload) {
    Message request;
    request.header = {type, ++last_id_, transaction, static_cast<uint32_t>(payload.size())};
    request.payload = std::move(payload);
    connection.peer->send(request);
    for (;;) {
      auto reply = connection.peer->receive();
      if (!reply) {
        connection.closed = true;
        return reply;
      }
      if (reply->header.type == XS_WATCH_EVENT) {
        note_event(connection, *reply);
        continue;
      }
      const bool fits = reply->header.req_id == last_id_ &&
                        (reply->header.type == type || reply->header.type == XS_ERROR);
      if (!fits) throw Stuck("a reply that is nobody's: " + shown(reply));
      if (reply->header.tx_id != transaction) connection.events.push_back("of another transaction");
      return reply;
    }
  }

  /// Takes the events that were under way: they come before a reply that was asked for later.
  void settle(Connection& connection) {
    (void)ask(connection, 0, XS_GET_DOMAIN_PATH, std::string("0\0", 2));
  }

  static void note_event(Connection& connection, const Message& event) {
    connection.events.push_back(text_of_bytes(event.payload));
  }

  static std::string shown(const std::optional<Message>& reply) {
    if (!reply) return "closed";
    std::string payload = reply->payload;
    switch (reply->header.type) {
      case XS_TRANSACTION_START: payload = std::string("id\0", 3); break;
      case XS_DIRECTORY: payload = sorted_strings(payload); break;
      case XS_DIRECTORY_PART:
        payload = std::string("generation\0", 11) +
                  sorted_strings(payload.substr(payload.find('\0') + 1));
        break;
      default: break;
    }
    return name_of(reply->header.type) + " " + text_of_bytes(payload);
  }

  StoreHost& host_;
  std::map<std::string, Connection> connections_;
  std::map<std::string, uint32_t> transactions_;
  uint32_t last_id_ = 0;
};

}  // namespace

std::vector<StoreStep> run_store_script(std::string_view script, StoreHost& host,
                                        const std::string& other) {
  Runner runner(host);
  std::vector<StoreStep> steps;
  std::istringstream lines{std::string(script)};
  std::string section;
  std::string line;
  for (int number = 1; std::getline(lines, line); ++number) {
    if (line.empty() || line.starts_with('#')) continue;
    if (line.starts_with("== ")) {
      section = line.substr(3);
      continue;
    }
    if (section.ends_with(", not for " + other)) continue;
    try {
      steps.push_back({section, line, runner.run(line)});
    } catch (const std::exception& e) {
      throw Problem(fmt::format("line {}, {}: {}", number, line, e.what()));
    }
  }
  return steps;
}

}  // namespace ringside::conformance
