// Arrays and strings, from Python and back.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace makemore {

namespace py = pybind11;

using Ids = py::array_t<std::int64_t, py::array::c_style | py::array::forcecast>;

inline std::span<const std::int64_t> view(const Ids& array) {
  return {array.data(), static_cast<std::size_t>(array.size())};
}

/// A NumPy array over memory that `owner` keeps.
template <class T>
py::array_t<T> to_numpy(const std::vector<T>& values, const py::object& owner) {
  return py::array_t<T>(static_cast<py::ssize_t>(values.size()), values.data(), owner);
}

/// Text that a file or a path gave: it need not be UTF-8.
inline py::str to_text(const std::string& bytes) {
  const auto size = static_cast<py::ssize_t>(bytes.size());
  return py::reinterpret_steal<py::str>(
      PyUnicode_DecodeUTF8(bytes.data(), size, "backslashreplace"));
}

using CodePoints = py::array_t<std::uint32_t, py::array::c_style>;

/// The characters of tokens.
class Characters {
 public:
  /// `code_points` (V,) must outlive this.
  explicit Characters(const CodePoints& code_points)
      : points_(code_points.data(), static_cast<std::size_t>(code_points.size())),
        is_ascii_(std::ranges::all_of(points_, [](std::uint32_t point) { return point < 128; })) {}

  std::size_t vocab_size() const { return points_.size(); }

  /// A new string of ids below V.
  template <class Id>
  PyObject* text(std::span<const Id> ids) {
    const auto length = static_cast<py::ssize_t>(ids.size());
    PyObject* text = nullptr;
    if (is_ascii_) {
      text = PyUnicode_New(length, 127);
      if (text == nullptr) throw py::error_already_set();
      std::ranges::transform(ids, PyUnicode_1BYTE_DATA(text),
                             [this](Id id) { return static_cast<Py_UCS1>(point(id)); });
    } else {
      wide_.resize(ids.size());
      std::ranges::transform(ids, wide_.begin(), [this](Id id) { return point(id); });
      text = PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, wide_.data(), length);
      if (text == nullptr) throw py::error_already_set();
    }
    return text;
  }

 private:
  template <class Id>
  std::uint32_t point(Id id) const {
    return points_[static_cast<std::size_t>(id)];
  }

  std::span<const std::uint32_t> points_;
  bool is_ascii_;
  std::vector<std::uint32_t> wide_;
};

/// A string of each row: ids[offsets[i]] to ids[offsets[i + 1]], as code points.
template <class Id>
py::list texts(std::span<const Id> ids, std::span<const std::int64_t> offsets,
               const CodePoints& code_points) {
  Characters characters(code_points);
  for (const Id id : ids) {
    if (id < 0 || static_cast<std::size_t>(id) >= characters.vocab_size()) {
      throw py::index_error("no such token");
    }
  }
  py::list strings(offsets.size() - 1);
  for (std::size_t row = 0; row + 1 < offsets.size(); ++row) {
    const auto begin = static_cast<std::size_t>(offsets[row]);
    const auto length = static_cast<std::size_t>(offsets[row + 1]) - begin;
    PyList_SET_ITEM(strings.ptr(), static_cast<py::ssize_t>(row),
                    characters.text(ids.subspan(begin, length)));
  }
  return strings;
}

/// The same of arrays, which may be any.
template <class Id>
py::list texts_of(const py::array_t<Id, py::array::c_style>& ids, const Ids& offsets,
                  const CodePoints& code_points) {
  const auto ends = view(offsets);
  if (ends.empty() || ends.front() < 0 || ends.back() > ids.size() ||
      !std::ranges::is_sorted(ends)) {
    throw py::index_error("offsets are not where strings begin and end");
  }
  return texts(std::span(ids.data(), static_cast<std::size_t>(ids.size())), ends, code_points);
}

}  // namespace makemore
