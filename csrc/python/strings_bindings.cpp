#include "bindings.h"
#include "strings.h"
#include "text_output.h"

namespace makemore {
namespace {

/// A property that is an array over a member, made when it is asked for.
template <class Class, class T, class Of>
void def_array(py::class_<Class>& made, const char* name, std::vector<T> Of::* member) {
  made.def_property_readonly(name, [member](const py::object& self) {
    return to_numpy(self.cast<const Class&>().*member, self);
  });
}

}  // namespace

void define_strings(py::module_& m) {
  py::class_<Strings> strings(m, "Strings");
  def_array(strings, "ids", &Strings::tokens);
  def_array(strings, "offsets", &Strings::offsets);
  def_array(strings, "log_probs", &Strings::log_probs);
  def_array(strings, "stopped", &Strings::finished);
  def_array(strings, "rows", &Strings::rows);
  strings.def(
      "texts",
      [](const Strings& self, const CodePoints& code_points) {
        return texts(std::span<const std::int32_t>(self.tokens), self.offsets, code_points);
      },
      py::arg("code_points"));

  py::class_<Texts> made(m, "Texts");
  made.def_readonly("texts", &Texts::texts);
  made.def_property_readonly("rows", [](const py::object& self) {
    const Texts& made = self.cast<const Texts&>();
    py::array_t<std::int64_t> rows(std::ssize(made.texts));
    std::int64_t* next = rows.mutable_data();
    auto rejected = made.rejected.begin();
    for (std::int64_t row = 0; row < made.rows; ++row) {
      if (rejected != made.rejected.end() && *rejected == row) {
        ++rejected;
      } else {
        *next++ = row;
      }
    }
    return rows;
  });
}

}  // namespace makemore
