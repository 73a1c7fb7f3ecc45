`challenge_names` are further names for which admins may set challenges; `admin_scopes` confine an admin to a part of the zone.
