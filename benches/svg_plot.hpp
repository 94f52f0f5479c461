#pragma once

#include <string>
#include <utility>
#include <vector>

namespace ringside::benches {

struct Curve {
  std::string name;
  std::vector<std::pair<double, double>> points;  ///< both above 0
};

/// One panel: curves over logarithmic axes.
struct Panel {
  std::string title;
  std::string x_name;
  std::vector<Curve> curves;
};

/// The panels side by side, each `y_name` over its `x_name`, as the text of an SVG file.
std::string svg_plot(const std::vector<Panel>& panels, const std::string& y_name);

}  // namespace ringside::benches
