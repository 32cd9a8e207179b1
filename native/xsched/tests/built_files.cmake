# Copyright 2026 the xsched-triton authors.
# SPDX-License-Identifier: Apache-2.0
#
# xsched_built_files(LIBRARY [NAME FILE]...): a library that defines constants of
# built_files.h. Only its one source says where the build lies, so that a compiler
# cache knows all others from any clone. Who uses a built file still depends on it
# by add_dependencies.
function(xsched_built_files library)
  set(content "#include \"built_files.h\"\n")
  list(LENGTH ARGN count)
  math(EXPR last "${count} - 1")
  foreach(index RANGE 0 ${last} 2)
    math(EXPR next "${index} + 1")
    list(GET ARGN ${index} name)
    list(GET ARGN ${next} path)
    string(APPEND content "const char* const ${name} = \"${path}\";\n")
  endforeach()
  file(GENERATE OUTPUT ${library}.cc CONTENT "${content}")
  add_library(${library} STATIC ${CMAKE_CURRENT_BINARY_DIR}/${library}.cc)
  target_include_directories(${library} PUBLIC ${CMAKE_CURRENT_FUNCTION_LIST_DIR})
endfunction()
