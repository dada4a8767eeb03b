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

/// A string of each row: ids[offsets[i]] to ids[offsets[i + 1]], as code points.
template <class Id>
py::list texts(std::span<const Id> ids, std::span<const std::int64_t> offsets,
               const CodePoints& code_points) {
  const auto known = static_cast<std::size_t>(code_points.size());
  const std::uint32_t* points = code_points.data();
  std::uint32_t every = 0;  // bits of all characters
  for (const Id id : ids) {
    if (id < 0 || static_cast<std::size_t>(id) >= known) throw py::index_error("no such token");
    every |= points[id];
  }
  py::list strings(offsets.size() - 1);
  std::u32string text;
  for (std::size_t row = 0; row + 1 < offsets.size(); ++row) {
    const std::int64_t length = offsets[row + 1] - offsets[row];
    const Id* id = ids.data() + offsets[row];
    PyObject* string = nullptr;
    if (every < 128) {
      string = PyUnicode_New(length, 127);
      if (string == nullptr) throw py::error_already_set();
      Py_UCS1* out = PyUnicode_1BYTE_DATA(string);
      for (std::int64_t i = 0; i < length; ++i) out[i] = static_cast<Py_UCS1>(points[id[i]]);
    } else {
      text.clear();
      for (std::int64_t i = 0; i < length; ++i) text.push_back(points[id[i]]);
      string = PyUnicode_FromKindAndData(PyUnicode_4BYTE_KIND, text.data(), length);
      if (string == nullptr) throw py::error_already_set();
    }
    PyList_SET_ITEM(strings.ptr(), static_cast<py::ssize_t>(row), string);
  }
  return strings;
}

/// The same of arrays.
template <class Id>
py::list texts_of(const py::array_t<Id, py::array::c_style>& ids, const Ids& offsets,
                  const CodePoints& code_points) {
  return texts(std::span(ids.data(), static_cast<std::size_t>(ids.size())), view(offsets),
               code_points);
}

}  // namespace makemore
