"use strict";

const dayjs = require("dayjs");

exports.handler = async (event) => ({
  receipt: `order ${event.id}, paid on ${dayjs(event.paid).format("DD.MM.YYYY")}`,
});
