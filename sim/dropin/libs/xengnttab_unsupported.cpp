// libxengnttab.so.1: what only programs in a guest, or beside a graphics driver, call.
#include "sim/dropin/libs/channel.hpp"

RINGSIDE_UNSUPPORTED(xengntshr_close)
RINGSIDE_UNSUPPORTED(xengntshr_fd)
RINGSIDE_UNSUPPORTED_POINTER(xengntshr_open)
RINGSIDE_UNSUPPORTED_POINTER(xengntshr_share_page_notify)
RINGSIDE_UNSUPPORTED_POINTER(xengntshr_share_pages)
RINGSIDE_UNSUPPORTED(xengntshr_unshare)
RINGSIDE_UNSUPPORTED(xengnttab_dmabuf_exp_from_refs)
RINGSIDE_UNSUPPORTED(xengnttab_dmabuf_exp_wait_released)
RINGSIDE_UNSUPPORTED(xengnttab_dmabuf_imp_release)
RINGSIDE_UNSUPPORTED(xengnttab_dmabuf_imp_to_refs)
