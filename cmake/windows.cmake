# What a translation unit of a Windows kernel image is compiled with, on top of the options
# that every target takes from ringside_options.

# /usr/include itself would shadow mingw's own headers: a folder with nothing but Xen's.
set(RINGSIDE_XEN_INCLUDE ${PROJECT_BINARY_DIR}/xen-headers)
find_path(RINGSIDE_XEN_HEADERS xen/xen.h PATHS /usr/include NO_DEFAULT_PATH NO_CMAKE_FIND_ROOT_PATH
  REQUIRED DOC "Where libxen-dev put xen/")
file(MAKE_DIRECTORY ${RINGSIDE_XEN_INCLUDE})
file(CREATE_LINK ${RINGSIDE_XEN_HEADERS}/xen ${RINGSIDE_XEN_INCLUDE}/xen SYMBOLIC)
target_include_directories(ringside_options SYSTEM INTERFACE ${RINGSIDE_XEN_INCLUDE})

target_compile_options(ringside_options INTERFACE
  -ffreestanding -fno-exceptions -fno-rtti -fno-threadsafe-statics -fno-use-cxa-atexit -fno-ident
  -fno-stack-protector)
# A kernel stack has 24 KiB on x64 and 12 KiB on i386, shared with whoever called.
target_compile_options(ringside_options INTERFACE -Wframe-larger-than=2048)
if(CMAKE_SIZEOF_VOID_P EQUAL 4)
  # Unwinding is by .pdata on x64; on i386 nothing reads the tables. The x87 and SSE registers
  # there belong to whatever thread was interrupted.
  target_compile_options(ringside_options INTERFACE
    -fno-asynchronous-unwind-tables -mgeneral-regs-only)
endif()
target_compile_definitions(ringside_options INTERFACE
  _WIN32_WINNT=0x0A00 NTDDI_VERSION=0x0A000000)
