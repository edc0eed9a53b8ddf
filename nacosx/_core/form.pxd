cpdef dict parse_form(bytes query, bytes body, str body_charset=*)
