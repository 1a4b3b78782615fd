import dayjs from "dayjs";

import { heading } from "./heading";

interface Request {
  market: string;
  day: string;
}

export const handler = async ({ market, day }: Request) => ({
  title: heading(market),
  valid: dayjs(day).endOf("month").format("YYYY-MM-DD"),
});
