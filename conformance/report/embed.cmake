# Writes OUTPUT, a translation unit that carries the text of each of FILES.
set(entries "")
foreach(file IN LISTS FILES)
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} text)
  string(APPEND entries "    {\"${name}\", R\"ringside(${text})ringside\"},\n")
endforeach()
file(WRITE ${OUTPUT}
"#include \"conformance/report/catalogue.hpp\"

namespace ringside::conformance {
std::vector<RuleFile> embedded_rule_files() {
  return {
${entries}  };
}
}  // namespace ringside::conformance
")
