#include "benches/svg_plot.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <iterator>

namespace ringside::benches {
namespace {

constexpr double kWidth = 300;  // of a panel's field, in SVG units
constexpr double kHeight = 240;
constexpr double kLeft = 60;
constexpr double kTop = 40;
constexpr double kStep = kLeft + kWidth + 20;
constexpr std::array kColours{"#1b6ca8", "#c8553d", "#4f772d", "#6a4c93", "#b08900", "#333333"};

/// Where values lie along an axis: its ends are the next powers of ten.
struct Scale {
  double low = 0;  // exponents of ten
  double high = 1;

  double at(double value) const { return (std::log10(value) - low) / (high - low); }
};

Scale scale_of(const std::vector<double>& values) {
  const auto [least, most] = std::minmax_element(values.begin(), values.end());
  Scale scale{std::floor(std::log10(*least)), std::ceil(std::log10(*most))};
  if (scale.high <= scale.low) scale.high = scale.low + 1;
  return scale;
}

class Drawing {
 public:
  Drawing(const Panel& panel, double left, const std::string& y_name)
      : panel_(panel), left_(left), y_name_(y_name) {
    std::vector<double> xs;
    std::vector<double> ys;
    for (const Curve& curve : panel.curves) {
      for (const auto& [x, y] : curve.points) {
        xs.push_back(x);
        ys.push_back(y);
      }
    }
    x_ = scale_of(xs);
    y_ = scale_of(ys);
  }

  std::string text() {
    frame();
    for (size_t i = 0; i < panel_.curves.size(); ++i) curve(i);
    return std::move(text_);
  }

 private:
  double right_of(double x) const { return left_ + x_.at(x) * kWidth; }
  double below(double y) const { return kTop + (1 - y_.at(y)) * kHeight; }

  template <typename... Values>
  void add(fmt::format_string<Values...> format, Values&&... values) {
    fmt::format_to(std::back_inserter(text_), format, std::forward<Values>(values)...);
  }

  void frame() {
    add("<rect x='{}' y='{}' width='{}' height='{}' fill='none' stroke='#888'/>\n", left_, kTop,
        kWidth, kHeight);
    add("<text x='{}' y='{}' text-anchor='middle'>{}</text>\n", left_ + kWidth / 2, kTop - 10,
        panel_.title);
    add("<text x='{}' y='{}' text-anchor='middle'>{}</text>\n", left_ + kWidth / 2,
        kTop + kHeight + 36, panel_.x_name);
    add("<text x='{}' y='{}'>{}</text>\n", left_ - kLeft + 8, kTop - 24, y_name_);
    for (double power = x_.low; power <= x_.high; ++power) {
      const double value = std::pow(10, power);
      add("<text x='{:.1f}' y='{}' text-anchor='middle'>{:.0f}</text>\n", right_of(value),
          kTop + kHeight + 16, value);
    }
    for (double power = y_.low; power <= y_.high; ++power) {
      const double value = std::pow(10, power);
      add("<path d='M{} {:.1f}h{}' stroke='#ddd'/>\n", left_, below(value), kWidth);
      add("<text x='{}' y='{:.1f}' text-anchor='end'>{:.0f}</text>\n", left_ - 4, below(value) + 4,
          value);
    }
  }

  void curve(size_t index) {
    const Curve& curve = panel_.curves[index];
    const char* colour = kColours[index % kColours.size()];
    std::string path;
    for (const auto& [x, y] : curve.points) {
      path += fmt::format("{}{:.1f} {:.1f}", path.empty() ? 'M' : 'L', right_of(x), below(y));
      add("<circle cx='{:.1f}' cy='{:.1f}' r='2.5' fill='{}'/>\n", right_of(x), below(y), colour);
    }
    add("<path d='{}' fill='none' stroke='{}' stroke-width='1.5'/>\n", path, colour);
    add("<text x='{}' y='{}' fill='{}'>{}</text>\n", left_ + 8,
        kTop + 16 + 14 * static_cast<double>(index), colour, curve.name);
  }

  const Panel& panel_;
  double left_;
  const std::string& y_name_;
  Scale x_;
  Scale y_;
  std::string text_;
};

}  // namespace

std::string svg_plot(const std::vector<Panel>& panels, const std::string& y_name) {
  const double width = kStep * static_cast<double>(panels.size()) + 20;
  std::string text = fmt::format(
      "<svg xmlns='http://www.w3.org/2000/svg' width='{}' height='{}' font-family='sans-serif' "
      "font-size='11'>\n<rect width='100%' height='100%' fill='white'/>\n",
      width, kTop + kHeight + 50);
  for (size_t i = 0; i < panels.size(); ++i) {
    text += Drawing(panels[i], kLeft + kStep * static_cast<double>(i), y_name).text();
  }
  return text + "</svg>\n";
}

}  // namespace ringside::benches
