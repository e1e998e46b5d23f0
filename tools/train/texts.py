"""What rows of prescription pages say: spans of text, each with the output field that it belongs to.

A row is a list of (text, field) pairs; field is None for text that the answer leaves out, and ("\t", None) is a gap between
columns. `answer(row)` is the model's target, `plain(row)` the text as printed.
"""
import random

from names import COMMON_SYLLABLES

GAP = ("\t", None)


def plain(row):
    """The printed text; a column gap reads as one space."""
    return "".join(" " if text == "\t" else text for text, _ in row).strip()


def answer(row):
    """List of tokens-to-be: special tokens ('<s_name>', '<sep/>', '<none/>', ...) and pieces of printed text, in print order."""
    out, seen = [], set()
    for text, field in row:
        if field is None:
            continue
        if field == "name" and seen:
            out.append("<sep/>")
            seen = set()
        if field in seen:
            continue
        seen.add(field)
        out += [f"<s_{field}>", text, f"</s_{field}>"]
    return out or ["<none/>"]


class RowSource:
    """Draws rows of one layout family; `names` is a names.NameSource."""

    def __init__(self, names, rng=random):
        self.names, self.rng = names, rng

    # ---- parts -------------------------------------------------------------------------------------------------------
    def dose(self, row=None, language="ko"):
        """A dosage as printed: one of the listed strengths of `row`, or any number with any unit."""
        r = self.rng
        if row is not None and r.random() < 0.8:
            number, unit = r.choice(row["strengths"]).split(" ", 1)
        else:
            number = r.choice([str(r.choice((1, 2, 2.5, 4, 5, 7.5, 8, 10, 12.5, 15, 16, 20, 25, 30, 40, 50, 60, 75, 80, 100, 120, 150, 160,
                    180, 200,
                                             250, 300, 330, 400, 450, 500, 600, 625, 650, 750, 800, 850, 875, 1000))), str(r.randint(1,
                                                     999)), str(r.choice((11, 100, 110, 111, 200, 220, 500, 550, 800, 88, 1000, 1100, 1500,
                                                     2000, 10000))),
                               f"{r.randint(0, 99)}.{r.randint(1, 99)}", f"0.{r.randint(1, 9)}"])
            unit = r.choices(("mg", "mcg", "g", "IU", "ml", "%", "unit"), (70, 8, 6, 5, 6, 3, 2))[0]
        shapes = {"mg": ("mg",) * 9 + ("MG", "MG", "㎎", "㎎", "Mg", "밀리그램", "밀리그람"), "mcg": ("mcg", "MCG", "µg", "㎍", "ug", "μg", "마이크로그램"),
                "g": ("g", "G", "그램"),
                  "IU": ("IU", "I.U.", "iu", "단위"), "ml": ("ml", "mL", "ML", "㎖", "cc"), "%": ("%",), "unit": ("unit", "U", "units")}
        shape = r.choice(shapes.get(unit, (unit,)))
        if language == "en" and ord(shape[0]) > 0xAC00:
            shape = unit
        text = number + r.choice(("", "", "", " ", " ")) + shape
        if unit == "mg" and r.random() < 0.06:
            text += r.choice(("/", " / ")) + str(r.choice((1, 5, 10, 12.5, 25, 100, 500))) + r.choice(("mg", "ml", "mL", shape))
        return text

    def entry(self, language):
        """Spans of one drug: number or bullet, name with form, dosage in one of many arrangements."""
        r = self.rng
        name, row = self.names.draw(language)
        dose = self.dose(row, language)
        spans = []
        mark = r.random()
        if mark < 0.35:
            spans.append((r.choice((f"{r.randint(1, 12)}. ", f"{r.randint(1, 12)}) ", f"({r.randint(1, 9)}) ", f"{r.randint(1, 9)} ",
                    f"#{r.randint(1, 9)} ", f"No.{r.randint(1, 9)} ",
                                    "■ ", "- ", "· ", "● ", "○ ", "□ ", "▶ ", "※ ", "* ", "• ", "℞ ", "Rx ", "Rp) ", "[ ] ",
                                            "①②③④⑤⑥⑦⑧"[r.randrange(8)] + " ")), None))
        elif mark < 0.47:
            spans.append((self.code() + r.choice((" ", "  ", "\t")), None))
            if spans[-1][0].endswith("\t"):
                spans[-1:] = [(spans[-1][0][:-1], None), GAP]
        if language == "ko":
            form = (row["form"] if row and r.random() < 0.75 else r.choice(("정", "정", "캡슐", "시럽", "서방정", "장용정", "서방캡슐", "산", "현탁액", "주",
                    "연질캡슐", "필름코팅정", "건조시럽", "OD정", "SR정",
                                                                         "연고", "크림", "점안액", "과립", "패취", "액"))) if r.random() < 0.88 else ""
            space = " " if form and r.random() < 0.07 else ""
            kind = r.random()
            if kind < 0.42:
                spans += [(name + space + form, "name"), (r.choice((" ", " ", " ", "  ", "", "_", "-")), None), (dose, "dose")]
            elif kind < 0.70:
                left, right = r.choice(("()", "()", "()", "[]", ("（", "）")))
                spans += [(name + space + form, "name"), (r.choice(("", "", " ")) + left, None), (dose, "dose"), (right, None)]
            elif kind < 0.80:
                spans += [(name, "name"), (" ", None), (dose, "dose"), (r.choice(("", " ")) + form, None)]
            elif kind < 0.90:
                spans += [(name + space + form, "name"), GAP, (dose, "dose")]
            elif kind < 0.96:
                spans += [(name + space + form, "name")]
            else:
                other = self.names.draw(r.choice(("en", "ko")))[0]
                if r.random() < 0.65:
                    spans += [(name + space + form, "name"), (r.choice((" ", "")), None), (dose, "dose"), (r.choice((" (",
                            "(")) + other + ")", None)]
                else:
                    spans += [(name + space + form, "name"), (r.choice((" (", "(")) + other + r.choice((") ", ")")), None), (dose, "dose")]
            if r.random() < 0.04:
                spans.insert(max(0, len(spans) - 3) if not spans[0][1] else 0, (r.choice(("(주)", "[급여]", "(비)", "★", "[내복] ", "(원외) ")),
                        None))
        else:
            form = r.choice(("tab", "tab", "cap", "Tab.", "tablet", "tablets", "capsule", "cap.", "TAB", "CAP", "syrup", "inj", "susp",
                    "cream", "T", "C", "tabs", "caps"))
            kind = r.random()
            if kind < 0.40:
                spans += [(name, "name"), (" ", None), (dose, "dose"), (" " + form, None)]
            elif kind < 0.58:
                spans += [(name, "name"), (" ", None), (dose, "dose")]
            elif kind < 0.70:
                spans += [(name + " " + form, "name"), (" ", None), (dose, "dose")]
            elif kind < 0.80:
                spans += [(name, "name"), (r.choice((" (", "(")), None), (dose, "dose"), (")", None), (r.choice(("", " " + form)), None)]
            elif kind < 0.88:
                spans += [(form.capitalize() + " ", None), (name, "name"), (" ", None), (dose, "dose")]
            elif kind < 0.95:
                spans += [(name, "name"), GAP, (dose, "dose"), (r.choice(("", " " + form)), None)]
            else:
                spans += [(name, "name"), (r.choice((", ", " - ", "  ")), None), (dose, "dose"), (r.choice(("", ", " + form)), None)]
        if r.random() < 0.07:  # a quantity, a maker or a remark that is no field
            spans.append((r.choice((f" #{r.randint(2, 120)}", f" x{r.randint(2, 90)}", f" {r.randint(2, 120)}T", f" 총 {r.randint(2, 120)}정",
                    f" / {r.randint(2, 120)}정" if language == "ko" else f" / {r.randint(2, 120)}",
                                    " [한미]" if language == "ko" else " [generic]", " (비급여)" if language == "ko" else " (new)",
                                            f"  {r.randint(100, 99999)}원" if language == "ko" else f"  ${r.randint(1, 99)}.{r.randint(0, 99):02d}")), None))
        if r.random() < 0.03:
            spans[:0] = [(self.date(), None), GAP]
        elif r.random() < 0.04:
            spans[:0] = [(r.choice(("약품명 : ", "약품명: ", "약품 ", "처방약: ", "품명 ") if language == "ko" else ("Drug: ", "Medication: ",
                    "Medication : ", "Rx: ", "Name of drug: ")), None)]
        return [s for s in spans if s[0]]

    def labelled(self, language):
        """A row of a form that holds one field after its label."""
        r = self.rng
        field = r.choice(("dose", "dose", "per", "times", "days"))
        if field == "dose":
            value, label = self.dose(None, language), ("용량", "함량", "규격") if language == "ko" else ("Dose", "Strength", "Dosage")
        else:
            spans = dict((f, t) for t, f in self.schedule(language) if f)
            if field not in spans:
                return self.schedule(language)
            value = spans[field]
            label = {"per": ("투약량", "1회량", "1회 투약량"), "times": ("횟수", "투여횟수", "1일 횟수"), "days": ("일수", "투약일수",
                    "총 투약일수")}[field] if language == "ko" else {
                "per": ("Amount", "Qty per dose", "Take"), "times": ("Frequency", "How often", "Freq."), "days": ("Duration", "Days",
                        "For")}[field]
        return [(r.choice(label) + r.choice((": ", " : ", " ", "- ")), None), (value, field)]

    def code(self):
        r = self.rng
        return r.choice((str(r.randint(640000000, 699999999)), f"{r.choice('ABCDEFKW')}{r.randint(1000, 99999)}",
                f"{r.randint(0, 999999):06d}", f"{r.randint(1, 99):02d}"))

    def schedule(self, language, columns=False):
        """Spans of how much, how often and how long."""
        r = self.rng
        per = str(r.choice((1, 1, 1, 2, 2, 3, 0.5, 1.5, "1/2", "½", 5, 10)))
        times, days = r.choice((1, 1, 2, 2, 3, 3, 4)), r.choice((1, 2, 3, 3, 5, 5, 7, 7, 10, 14, 14, 21, 28, 30, 30, 60, 84, 90,
                r.randint(1, 180)))
        if columns:
            unit = r.random() < 0.25 and language == "ko"
            spans = [GAP, (per + (r.choice(("정", "캡슐", "T", "C", "포")) if unit else ""), "per"), GAP, (f"{times}" + ("회" if unit else ""),
                    "times"), GAP,
                     (f"{days}" + ("일" if unit else ""), "days")]
            if r.random() < 0.1:
                spans = spans[:4]
            elif r.random() < 0.12:
                spans += [GAP, (r.choice((str(r.randint(1, 400)), "식후30분", "식후", "취침전", "아침", "내복", "비고",
                        f"{r.randint(1, 99)},{r.randint(0, 999):03d}")), None)]
            return spans
        if language == "ko":
            unit = r.choice(("정", "정", "캡슐", "포", "ml", "mL", "알", "T", "C", "정씩", "캡슐씩", "포씩"))
            sep = r.choice((", ", ", ", " ", " / ", "  ", " · "))
            end = r.choice(("일분", "일분", "일", "일간", "일 분"))
            lead = r.choice(("1회 ", "1회 ", "1회", "한번에 ", "1회량 ", "1회 투약량 "))
            daily = r.choice(("1일 ", "1일 ", "하루 ", "1일", "매일 ", "하루에 "))
            times_text = f"{times}" + r.choice(("회", "회", "번"))
            spans = [(lead, None), (per + unit, "per"), (sep + daily, None), (times_text, "times"), (sep, None), (f"{days}{end}", "days")]
            kind = r.random()
            if kind < 0.15:
                spans = [(daily, None), (times_text, "times"), (sep + lead, None), (per + unit, "per"), (sep, None), (f"{days}{end}",
                        "days")]
            elif kind < 0.22:
                spans = [(per + unit, "per"), (r.choice((" x ", "×", " × ")), None), (times_text, "times"), (r.choice((" x ", "×", " × ")),
                        None), (f"{days}일", "days")]
            elif kind < 0.30:
                spans = [(r.choice(("용법: ", "용법 : ", "복용법 ", "[용법] ", "")) + daily, None), (times_text, "times"), (r.choice((" 식후 30분 ",
                        " 식후 ", " 식전 30분 ", " 아침 식후 ", " 취침 전 ")) + lead, None), (per + unit, "per")]
            elif kind < 0.36:
                spans = [(f"총 ", None), (f"{days}{end}", "days")]
            if r.random() < 0.15:
                spans.append((r.choice((" 식후 30분", " 식후30분 복용", " (아침,저녁)", " 복용", " 취침 전", " 아침 저녁 식후", " 물과 함께")), None))
            return spans
        form = r.choice(("tab", "tab", "cap", "tablet", "tablets", "capsule", "capsules", "tabs", "caps", "T", "ml", "mL", "puff"))
        often = r.choice({1: ("once daily", "once daily", "QD", "qd", "once a day", "daily", "every day", "q24h", "at bedtime", "HS"),
                2: ("twice daily", "twice daily", "BID", "bid", "b.i.d.", "two times daily", "2 times a day", "q12h"),
                          3: ("three times daily", "three times daily", "TID", "tid", "t.i.d.", "3 times a day", "q8h"),
                                  4: ("four times daily", "QID", "qid", "4 times daily", "q6h")}[times])
        lead = r.choice(("Sig: ", "Sig: ", "Sig. ", "SIG: ", "S: ", "Take ", "take ", "Directions: take ", "", "Use: "))
        day_word = r.choice((" days", " days", " days", " d", "d", " day(s)")) if days != 1 else " day"
        spans = [(lead, None), (f"{per} {form}", "per"), (r.choice((" ", " ", " ", " PO ", " by mouth ", " orally ", ", ")), None), (often,
                "times"),
                 (r.choice((" x ", " x ", " for ", " × ", ", ", " / ")), None), (f"{days}{day_word}", "days")]
        kind = r.random()
        if kind < 0.05:
            spans = [(lead, None), ("-".join(r.choice("0112") for _ in range(3)), "times"), (r.choice((" x ", " for ", " ")), None),
                    (f"{days}{day_word}", "days")]
        elif kind < 0.1:
            spans = spans[:4]
        elif kind < 0.15:
            spans = [(r.choice(("Disp: ", "Qty: ", "Disp #", "Quantity ")) + str(r.randint(1, 180)), None)] + ([(r.choice((" Refills: ",
                    " Refill ", "  Refills ")) + str(r.randint(0, 5)), None)] if r.random() < 0.6 else [])
        elif kind < 0.25:
            spans.append((r.choice((" PRN", " after meals", " with food", " before meals", " #" + str(r.randint(5, 90)),
                    ", Disp: " + str(r.randint(5, 90)), " as needed for pain")), None))
        return [s for s in spans if s[0]]

    # ---- rows without drugs --------------------------------------------------------------------------------------------
    def person(self):
        r = self.rng
        return r.choice("김이박최정강조윤장임한오서신권황안송류홍전고문양손배백허유남심노하곽성차주우구라진") + "".join(r.choice("민서준하윤지우현도연수빈예은호영진경아선희정미숙철상동재성원태혜주나라훈석규용") for _ in range(2))

    def date(self):
        r = self.rng
        y, m, d = r.randint(2018, 2032), r.randint(1, 12), r.randint(1, 28)
        return r.choice((f"{y}-{m:02d}-{d:02d}", f"{y}.{m:02d}.{d:02d}", f"{y}년 {m}월 {d}일", f"{m:02d}/{d:02d}/{y}", f"{y}/{m:02d}/{d:02d}",
                f"{y}. {m}. {d}.", f"{d} {r.choice('Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split())} {y}"))

    def distractor(self, language):
        """Text of a row that holds no drug: headers, people, dates, prices, codes, advice."""
        r = self.rng
        if language == "ko":
            clinic = r.choice(("세종", "한빛", "서울", "푸른", "중앙", "미소", "행복", "연세", "우리", "늘봄", "온누리", "가람", "새봄", "참좋은", "하나", "제일", "성모", "한강",
                    "바른", "다정한", "명성", "햇살", "강남")) + r.choice(
                ("가정의학과", "내과의원", "의원", "병원", "약국", "이비인후과", "소아청소년과의원", "정형외과", "피부과", "대학교병원", "신경과의원", "내과", "메디컬센터", "온누리약국", "치과의원"))
            phone = f"{r.choice(('02', '031', '051', '010', '042'))}-{r.randint(200, 9999)}-{r.randint(0, 9999):04d}"
            colon = r.choice((" : ", ": ", " ", ":"))
            price = f"{r.randint(1, 99)},{r.randint(0, 99) * 10:03d}원"
            choices = (
                "처 방 전", "처방전", "복 약 안 내", "약 봉 투", "조제약 복약안내", "복약지도서", "약제비 계산서·영수증", "내복약", "외용약", "투약 안내문", f"{self.person()} 님 복약 안내",
                        f"{self.person()} 님", f"{self.person()}님 귀하",
                f"환자 성명{colon}{self.person()}", f"성명{colon}{self.person()}", f"교부 번호{colon}{self.date()}-{r.randint(1, 999)}",
                        f"교부번호{colon}제 {r.randint(1, 99999)} 호", f"의료기관{colon}{clinic}", f"처방 의사{colon}{self.person()}",
                f"처방 의료인의 성명 {self.person()} (서명 또는 날인)", f"조제일자 {self.date()}   {clinic}", f"조제일{colon}{self.date()}",
                        f"조제약사{colon}{self.person()}", f"사용기간: 교부일로부터 {r.randint(1, 30)}일간", f"전화번호{colon}{phone}",
                        f"전화 {phone}  팩스 {phone}",
                f"주민등록번호{colon}{r.randint(400101, 991231)}-{r.randint(1, 4)}******", f"생년월일{colon}{self.date()}",
                        f"질병분류기호{colon}{r.choice('ABCDEFGHIJKLMN')}{r.randint(0, 99):02d}.{r.randint(0, 9)}",
                        f"면허번호{colon}제 {r.randint(1000, 99999)} 호",
                f"본인부담금 {price}", f"총액 {price}", f"약제비 총액{colon}{price}", f"합계 {r.randint(1, 99)},{r.randint(0, 999):03d}",
                        f"카드 {price} 승인번호 {r.randint(10000000, 99999999)}",
                        f"사업자등록번호 {r.randint(100, 999)}-{r.randint(10, 99)}-{r.randint(10000, 99999)}",
                "처방 의약품의 명칭\t1회량\t1일횟수\t일수", "처방 의약품의 명칭\t1회 투약량\t1일 투여횟수\t총 투약일수", "약품명\t투약량\t횟수\t일수", "의약품명\t용량\t1회\t횟수\t일수",
                        "약품명\t1회량\t횟수\t일수\t금액", "번호\t약품명\t함량\t용법", "품명\t수량\t금액",
                "충분한 물과 함께 복용하세요", "정해진 시간에 복용하십시오.", "직사광선을 피해 서늘한 곳에 보관하세요", "어린이 손에 닿지 않게 보관", "졸음이 올 수 있으니 운전에 주의하세요",
                        "이상 반응이 있으면 의사와 상의하세요", "복용 중 음주를 삼가십시오", "감사합니다",
                f"다음 방문일 {self.date()}", f"진료과 {r.choice(('내과', '외과', '신경과', '피부과', '정형외과'))}  담당의 {self.person()}",
                        f"보험 구분{colon}{r.choice(('건강보험', '의료급여', '자동차보험', '산재'))}", f"연령/성별{colon}{r.randint(1, 95)}세 / {r.choice('남여')}",
                        f"체중 {r.randint(10, 110)}kg  신장 {r.randint(80, 190)}cm",
                f"서울특별시 {r.choice(('강남구', '종로구', '마포구', '송파구'))} {r.choice(('테헤란로', '세종대로', '한강로', '중앙로'))} {r.randint(1, 500)}",
                        f"대체조제 불가 □", "조제 시 참고 사항", "비고", "이하 여백", "- 이하 여백 -", clinic, f"{clinic} Tel. {phone}",
                        f"{r.randint(1, 9)}/{r.randint(1, 9)} 쪽", f"{r.randint(10, 23)}:{r.randint(0, 59):02d}",
                        f"영수증 No. {r.randint(1000, 999999)}")
            return r.choice(choices)
        clinic = r.choice(("Riverside", "Oakfield", "Hillcrest", "Lakeview", "St. Mary", "Maple", "Central", "Green Valley", "Sunrise",
                "Harbor", "Northgate", "Willow Creek", "Parkside", "Summit", "City")) + r.choice((" Clinic", " Family Practice",
                " Medical Center", " Hospital", " Health", " Pharmacy", " Internal Medicine", " Pediatrics", " Care"))
        who = f"{r.choice('ABCDEFGHJKLMNPRSTW')}. {r.choice('Brown Wilson Smith Jones Garcia Miller Davis Moore Taylor Anderson Thomas Kim Lee Park Choi White Harris Martin Clark Lewis Walker Young King Hill Green Baker'.split())}"
        phone = f"({r.randint(200, 989)}) {r.randint(200, 999)}-{r.randint(0, 9999):04d}"
        choices = (clinic, clinic.upper(), f"Patient: {who}    Date: {self.date()}", f"Patient: {who}", f"Name: {who}  DOB: {self.date()}",
                f"Date: {self.date()}", f"DOB {self.date()}", "Rx", "Rx", "PRESCRIPTION", "Prescription", "Signature: ____________  MD",
                "Signature ______________", f"Dr. {who}, MD", f"Physician: {who}",
                   f"DEA No. {r.choice('ABFM')}{r.choice('ABCDW')}{r.randint(1000000, 9999999)}",
                           f"NPI: {r.randint(1000000000, 1999999999)}", f"License # {r.randint(10000, 999999)}", f"Tel: {phone}",
                           f"Phone {phone} Fax {phone}", f"{r.randint(1, 9999)} {r.choice('Main Oak Maple Park Cedar Elm Lake Hill'.split())} St, Suite {r.randint(1, 900)}",
                   f"Refills: {r.randint(0, 5)}", "Refill 0 1 2 3 PRN", "Dispense as written", "Substitution permitted", "Generic OK",
                           f"Total ${r.randint(1, 300)}.{r.randint(0, 99):02d}", f"Copay: ${r.randint(1, 50)}.00",
                           f"Rx No. {r.randint(100000, 9999999)}", "Medication\tDose\tQty\tDays", "Drug\tStrength\tSig\tDays",
                           "Item\tQty\tPrice", "Name\tDose\tTimes\tDays",
                   "Take with plenty of water.", "Keep out of reach of children", "May cause drowsiness", "Do not drink alcohol",
                           "Store at room temperature", f"Age: {r.randint(1, 95)}  Sex: {r.choice('MF')}",
                           f"Weight: {r.randint(10, 120)} kg", f"BP {r.randint(90, 180)}/{r.randint(50, 110)}",
                           f"Allergies: {r.choice(('none', 'NKDA', 'penicillin', 'unknown'))}",
                           f"ICD-10: {r.choice('ABCDEFGHIJ')}{r.randint(0, 99):02d}.{r.randint(0, 9)}",
                   f"Next visit: {self.date()}", "Thank you", f"Page {r.randint(1, 4)} of {r.randint(1, 4)}",
                           f"MRN {r.randint(100000, 9999999)}", "Valid for 30 days", "MD",
                           f"{r.randint(8, 19)}:{r.randint(0, 59):02d} {r.choice(('AM', 'PM'))}")
        return r.choice(choices)

    def bilingual(self):
        """One drug in both languages, as on forms with two columns; the same dosage twice must not confuse the order of reading."""
        r = self.rng
        row = r.choice(self.names.formulary)
        form = row["form"] if r.random() < 0.6 else ""
        halves = [[(row["name_ko"] + form, "name")], [(row["name"].capitalize() if r.random() < 0.7 else row["name"].upper(), "name")]]
        dose = self.dose(row, "ko")
        with_dose = r.choice(((0,), (1,), (0, 1), (0, 1)))
        for i in with_dose:
            halves[i] += [(" ", None), (dose, "dose")]
        r.shuffle(halves)
        return halves[0] + [GAP] + halves[1] + (self.schedule("ko", columns=True) if r.random() < 0.2 else [])

    # ---- rows ----------------------------------------------------------------------------------------------------------
    def draw(self):
        """Return (row, language) for one training row."""
        r = self.rng
        language = "ko" if r.random() < 0.52 else "en"
        kind = r.random()
        if kind < 0.40:
            row = self.entry(language)
        elif kind < 0.58:
            row = self.entry(language) + self.schedule(language, columns=True)
        elif kind < 0.63:
            row = self.entry(language) + [(r.choice(("  ", " ", " : ", ", ")), None)] + self.schedule(language)
        elif kind < 0.68:
            pair = r.random()
            row = self.bilingual() if pair < 0.45 else self.entry("ko") + [GAP] + self.entry("en") if pair < 0.75 else self.entry(language) + [GAP] + self.entry(language)
        elif kind < 0.79:
            row = self.schedule(language)
            if r.random() < 0.12:
                row = self.labelled(language)
            elif r.random() < 0.08:
                row = [(self.dose(None, language), "dose")] + ([GAP] + row if r.random() < 0.5 else [])
        else:
            row = []
            for part in self.distractor(language).split("\t"):
                row += ([GAP] if row else []) + [(part, None)]
            if r.random() < 0.12:
                row += [GAP, (self.distractor(language).replace("\t", " "), None)]
        return row, language

    def letters(self, language):
        """A row of random characters, to learn their shapes (read with the plain-text task only)."""
        r = self.rng
        if language == "ko":
            return [("".join(r.choice(COMMON_SYLLABLES) if r.random() < 0.85 else r.choice(" 0123456789") for _ in range(r.randint(4,
                    22))).strip() or "가", None)]
        return [("".join(r.choice("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789()[]/.,:;-+%&#* ") for _ in range(r.randint(6, 34))).strip() or "a", None)]
