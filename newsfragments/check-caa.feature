`nodetrust check` says whether the CA of the issue server, with its account there, may sign by the zone's CAA records; an issue server tells peers both in its issue info.
