#include <ntddk.h>

/// Loads and does nothing: the image is there to be linked and looked at.
extern "C" NTSTATUS NTAPI DriverEntry(PDRIVER_OBJECT, PUNICODE_STRING) { return STATUS_SUCCESS; }
