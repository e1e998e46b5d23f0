"""Where the drug names on training rows come from.

The model must read what is printed, so the formulary is only a small part of the names: the rest are real names outside of it,
names put together from pharmaceutical stems, look-alikes of listed names, and random syllables. A quarter of the stems and of
the other names is kept for the held-out split and is never drawn for training.
"""
import csv
import random
import zlib

# International names that the sample formulary does not hold.
OTHER_EN = """abacavir acarbose acebutolol aceclofenac acetazolamide acitretin albendazole alfuzosin aliskiren almotriptan
alogliptin amantadine ambrisentan amiloride aminophylline amisulpride anagrelide apremilast asenapine atazanavir atomoxetine atropine
azelastine azilsartan bambuterol barnidipine benazepril benidipine benserazide benzbromarone benztropine betahistine betamethasone
betaxolol bicalutamide bilastine bisacodyl bosentan brexpiprazole brivaracetam bromocriptine budesonide bumetanide buprenorphine
busulfan cabergoline canagliflozin capecitabine captopril carbidopa carbocisteine cariprazine carisoprodol cefadroxil cefdinir
cefditoren cefpodoxime cefprozil cefroxadine ceftibuten chlorambucil chlordiazepoxide chloroquine chlorthalidone choline cilnidipine
cimetidine cinacalcet cinnarizine citalopram clemastine clobazam clomiphene clomipramine clonidine clozapine cyclobenzaprine
cyproheptadine dapsone darifenacin darunavir dasatinib deferasirox deflazacort desloratadine desmopressin desvenlafaxine
dexibuprofen dexlansoprazole diacerein dienogest dimenhydrinate diphenhydramine dipyridamole disulfiram dolutegravir doxazosin
doxepin doxylamine dronedarone drospirenone ebastine efavirenz eletriptan eltrombopag entacapone entecavir eplerenone eprosartan
ergotamine erlotinib estradiol eszopiclone ethambutol ethosuximide etodolac etoricoxib everolimus evogliptin exemestane famciclovir
felodipine fesoterodine fimasartan flavoxate flecainide flunarizine flurbiprofen flutamide fluvastatin fluvoxamine fosinopril
frovatriptan fudosteine gefitinib gemfibrozil gemigliptin glibenclamide glucosamine granisetron griseofulvin guanfacine hydralazine
hydroxyurea hydroxyzine ibandronate iguratimod imatinib imidafenacin imipramine ipragliflozin irsogladine isoniazid isosorbide
isotretinoin isradipine itopiramide ivabradine ivermectin ketoconazole ketoprofen ketotifen lacidipine lacosamide lafutidine lamivudine
lapatinib leflunomide lercanidipine levocarnitine levocloperastine levosulpiride linezolid lobeglitazone lornoxicam loxoprofen lubiprostone
lurasidone macitentan maraviroc mebendazole mebeverine medroxyprogesterone mefenamic megestrol melatonin mercaptopurine mesalazine
metaxalone methyldopa methylphenidate metolazone mexiletine mianserin midodrine miglitol milnacipran misoprostol mizolastine modafinil
moxonidine mycophenolate nabumetone nadolol naftopidil naltrexone naratriptan nateglinide nefazodone nevirapine nicardipine nicergoline
nicorandil nilotinib nimesulide nimodipine nisoldipine nitrofurantoin nizatidine norfloxacin nortriptyline ofloxacin opipramol
orlistat ornidazole orphenadrine oxaprozin oxybutynin paliperidone pancreatin pelubiprofen penicillamine pentoxifylline perampanel
perphenazine phenobarbital pilocarpine pimozide pindolol piracetam pirfenidone piroxicam polmacoxib ponatinib posaconazole prazosin
primidone probenecid procaterol prochlorperazine progesterone promethazine propafenone propiverine prucalopride pyrazinamide
pyridostigmine quinapril quinidine raltegravir ramelteon ranitidine ranolazine rasagiline repaglinide ribavirin rifampicin rifaximin
riluzole rimegepant riociguat rizatriptan roflumilast rupatadine sacubitril safinamide sapropterin saxagliptin selegiline sevelamer
sibutramine sofosbuvir sorafenib sotalol stavudine sucralfate sulindac sulpiride sultamicillin sunitinib talniflumate tegafur
telbivudine teneligliptin tenofovir terazosin terbinafine terbutaline teriflunomide thalidomide thiamine tianeptine ticlopidine
timolol tinidazole tiopronin tipranavir tofacitinib tofisopam tolbutamide tolcapone tolperisone tolvaptan toremifene trandolapril
tranexamic treprostinil triamterene triazolam triflusal trihexyphenidyl trimetazidine trimethoprim trimipramine trospium ulipristal
upadacitinib valaciclovir valganciclovir varenicline verapamil vigabatrin vonoprazan voriconazole vortioxetine zafirlukast zaltoprofen
zidovudine zileuton ziprasidone zolmitriptan zonisamide zopiclone tegoprazan fexuprazan enavogliflozin bazedoxifene choline eupatilin
almagate dexketoprofen afloqualone thioctic levosalbutamol mequitazine rosuvamide atorvamibe limaprost sarpogrelate beraprost""".split()

OTHER_KO = """아세클로페낙 아세타졸아미드 알펜다졸 알리스키렌 알로글립틴 아만타딘 암브리센탄 아미설프리드 아나그렐리드 아토목세틴 아젤라스틴
아질사르탄 밤부테롤 바니디핀 베니디핀 벤즈브로마론 베타히스틴 베타메타손 비칼루타미드 빌라스틴 비사코딜 보센탄 브렉스피프라졸 브로모크립틴 부데소니드
카베르골린 카나글리플로진 카페시타빈 캡토프릴 카르비도파 카르보시스테인 카리프라진 세파드록실 세프디니르 세프디토렌 세프포독심 세프프로질 세프록사딘 클로르탈리돈
실니디핀 시메티딘 시나칼세트 신나리진 시탈로프람 클로바잠 클로미펜 클로미프라민 클로니딘 클로자핀 사이클로벤자프린 시프로헵타딘 답손 다리페나신 다사티닙 데페라시록스
데플라자코트 데스로라타딘 데스모프레신 데스벤라팍신 덱시부프로펜 덱스란소프라졸 디아세레인 디에노게스트 디멘히드리네이트 디피리다몰 돌루테그라비르 독사조신 독세핀
독실아민 드로네다론 에바스틴 엘레트립탄 엔타카폰 엔테카비르 에플레레논 에르고타민 엘로티닙 에스트라디올 에스조피클론 에탐부톨 에토돌락 에토리콕시브 에베로리무스 에보글립틴
엑세메스탄 팜시클로버 펠로디핀 페소테로딘 피마사르탄 플라복세이트 플레카이니드 플루나리진 플루르비프로펜 플루바스타틴 플루복사민 포시노프릴 푸도스테인 게피티닙 겜피브로질
제미글립틴 글리벤클라미드 글루코사민 그라니세트론 히드랄라진 히드록시진 이반드론산 이구라티모드 이마티닙 이미다페나신 이미프라민 이프라글리플로진 이소니아지드 이소소르비드
이소트레티노인 이바브라딘 이버멕틴 케토코나졸 케토프로펜 케토티펜 라시디핀 라코사미드 라푸티딘 라미부딘 레플루노미드 레르카니디핀 레보카르니틴 레보클로페라스틴 레보설피리드
리네졸리드 로베글리타존 로르녹시캄 록소프로펜 루라시돈 마시텐탄 메벤다졸 메드록시프로게스테론 메페남산 메게스트롤 멜라토닌 메르캅토푸린 메살라진 메틸페니데이트 메톨라존 멕실레틴
미도드린 밀나시프란 미소프로스톨 미졸라스틴 모다피닐 마이코페놀레이트 나부메톤 나도롤 나프토피딜 날트렉손 나라트립탄 나테글리니드 니카르디핀 니세르골린 니코란딜 닐로티닙 니메술리드
니모디핀 니트로푸란토인 니자티딘 노르플록사신 노르트립틸린 오플록사신 오르리스타트 오르니다졸 옥시부티닌 팔리페리돈 펠루비프로펜 펜톡시필린 페람파넬 페르페나진 페노바르비탈 필로카르핀
피모지드 피라세탐 피르페니돈 피록시캄 폴마콕시브 포사코나졸 프라조신 프로베네시드 프로카테롤 프로게스테론 프로파페논 프로피베린 프루칼로프리드 피라진아미드 퀴나프릴 라멜테온 라니티딘
라놀라진 라사길린 레파글리니드 리바비린 리팜피신 리팍시민 릴루졸 리자트립탄 로플루밀라스트 루파타딘 사쿠비트릴 삭사글립틴 셀레길린 세벨라머 소포스부비르 소라페닙 소타롤 수크랄페이트
설린닥 설피리드 수니티닙 탈니플루메이트 테가푸르 텔비부딘 테네리글립틴 테노포비르 테라조신 테르비나핀 테르부탈린 티아민 티아넵틴 티클로피딘 티모롤 티니다졸 토파시티닙 토피소팜 톨밥탄
트란돌라프릴 트라넥삼산 트리아졸람 트리플루살 트리헥시페니딜 트리메타지딘 트리메토프림 트로스피움 우파다시티닙 발라시클로버 바레니클린 베라파밀 비가바트린 보노프라잔 보리코나졸 보르티옥세틴
잘토프로펜 지도부딘 지프라시돈 졸미트립탄 조니사미드 조피클론 테고프라잔 펙수프라잔 이나보글리플로진 바제독시펜 유파틸린 알마게이트 덱스케토프로펜 아플로쿠알론 티옥트산 메퀴타진 사포그릴레이트
리마프로스트 베라프로스트 스트렙토키나제 아르기닌 탄산칼슘 산화마그네슘 염화칼륨 푸마르산철 시트르산 구연산칼륨 제일인산 히알루론산 글리세린 비오틴 판크레아틴 디오스민 은행엽 밀크시슬""".split()

# Brand-like pieces, to make names of products.
BRAND_KO = """타이레놀 노바스크 리피토 크레스토 자누비아 아모잘탄 트윈스타 엑스포지 디오반 코자 올메텍 미카르디스 아타칸 딜라트렌 콩코르 테놀민 라식스 알닥톤 플라빅스
브릴린타 자렐토 엘리퀴스 프라닥사 릭시아나 다이아벡스 아마릴 가드메트 트라젠타 자디앙 포시가 씬지로이드 안티로이드 소론도 넥시움 판토록 파리에트 가스터 무코스타 모티리움 맥페란
조프란 로페린 우루사 지르텍 씨잘 클라리틴 알레그라 타리온 싱귤레어 오논 뮤코펙트 엘도스 레보투스 졸로푸트 프로작 팍실 렉사프로 이팩사 심발타 웰부트린 레메론 데시렐 에나폰 자낙스 아티반
리보트릴 스틸녹스 쎄로켈 자이프렉사 리스페달 아빌리파이 데파코트 테그레톨 트리렙탈 라믹탈 케프라 토파맥스 뉴론틴 리리카 아리셉트 나멘다 레미닐 시네메트 미라펙스 리큅 이미그란 뮤테란
자이로릭 페브릭 콜킨 포사맥스 악토넬 에비스타 하루날 트루패스 프로스카 아보다트 베시케어 디트루시톨 베타미가 비아그라 시알리스 놀바덱스 페마라 아리미덱스 게보린 펜잘 이지엔 탁센 판피린 콜대원
써스펜 애니펜 록프렌 뮤코스텐 삐콤씨 아로나민 임팩타민 베아제 훼스탈 겔포스 스멕타 둘코락스 마그밀 알마겔 듀파락 코푸 시네츄라 푸로스판""".split()
BRAND_EN = """Tylenol Norvasc Lipitor Crestor Januvia Amosartan Twynsta Exforge Diovan Cozaar Olmetec Micardis Atacand Dilatrend Concor
Tenormin Lasix Aldactone Plavix Brilinta Xarelto Eliquis Pradaxa Lixiana Diabex Amaryl Galvus Trajenta Jardiance Forxiga Synthyroid
Nexium Pariet Pepcid Mucosta Motilium Zofran Ursa Zyrtec Xyzal Claritin Allegra Talion Singulair Zoloft Prozac Paxil Lexapro Effexor
Cymbalta Wellbutrin Remeron Xanax Ativan Rivotril Stilnox Seroquel Zyprexa Risperdal Abilify Depakote Tegretol Trileptal Lamictal
Keppra Topamax Neurontin Lyrica Aricept Namenda Sinemet Mirapex Requip Imitrex Zyloric Feburic Fosamax Actonel Evista Harnal Proscar
Avodart Vesicare Betmiga Viagra Cialis Nolvadex Femara Arimidex Advil Motrin Aleve Voltaren Celebrex Mobic Augmentin Zithromax""".split()

SALTS_EN = ["HCl", "hydrochloride", "sodium", "potassium", "maleate", "besylate", "tartrate", "succinate", "mesylate", "fumarate",
        "calcium",
            "acetate", "phosphate", "citrate", "XR", "SR", "ER", "CR", "OD", "DR", "Plus", "acid", "nitrate", "sulfate"]
SALTS_KO = ["염산염", "나트륨", "칼륨", "말레산염", "베실산염", "타르타르산염", "메실산염", "푸마르산염", "칼슘", "시트르산염", "황산염", "인산염", "염산", "플러스",
            "서방", "오디", "엑스알", "에스알", "씨알", "이알", "산", "수화물"]

HEAD_EN = """ac al am an ap ar as at az ba be bi bo bri bu ca car ce cef chlor ci cla clo co cy da de dex di do dor dro du e ed el em en
er es eth ev ex fa fe fi flu fo fos fu ga ge gli gra ha he hydro hyp i ib id im in ir is iso ket la le lev li lo lor lu ma me meth
mi mo mu na ne ni nor o ol om on or ox pa pe phen pi po pra pre pro pyr qui ra re ri ro ru sa se si so su sul ta te thi ti to tra tri
tro u ur va ve vi vo xi ya za ze zi zo""".split()
MID_EN = """ba be bi bo bu ca ce ci co cu da de di do du fa fe fi fo ga ge gi go la le li lo lu ma me mi mo mu na ne ni no nu pa pe pi po pra
ra re ri ro ru sa se si so ta te ti to tra tri tro tu va ve vi vo xa xi ya za ze zi zo lan fen ben mar den cor nal ver dol""".split()
TAIL_EN = """pril sartan olol dipine statin azole oxacin mycin cillin cycline prazole tidine gliptin gliflozin glitazone triptan setron
lukast parin xaban grel tinib mab vir ciclovir caine barbital azepam zolam idone apine oxetine triptyline profen fenac oxicam coxib
dronate fibrate thiazide semide lactone terol phylline sone solone gestrel trel stat pramine dopa sterone platin rubicin taxel
trexate nib ciclib lisib parib rafenib mycin micin bactam penem zolid nidazole quine antel oxanide tadine rizine stine zoline
trombopag vaptan sentan ciguat afil dosin lamine mide tide zide xone done cone lone rone mine line dine tine zine pine rine""".split()
HEAD_KO = """아 알 암 아세 아지 아토 에 에르 에스 엘 엔 오 옥 올 우 이 인 일 가 갈 게 고 글리 나 날 네 노 뉴 니 다 답 덱 덱사 데 도 독 두 디 딜 라 란 레 레보 로 록 루 류 리
마 메 메트 메틸 모 목 몬 미 밀 바 발 베 벤 벨 보 볼 부 비 빌 사 산 살 세 세프 셀 소 솔 수 술 시 신 실 심 아드 앰 엑 엠 옥시 온 와 울 젠 조 졸 지 카 칸 칼 케 켈 코 콜 퀴 크
클로 클라 타 탐 테 텔 토 톨 트라 트리 티 파 판 팔 페 펜 펙 펠 포 폴 프라 프로 프레 플루 피 필 하 할 헤 헥 히 히드로""".split()
MID_KO = """가 게 고 구 글 기 나 날 네 노 누 니 다 데 도 독 두 드 디 라 란 랄 레 렌 로 록 롤 루 르 리 린 마 메 멘 모 목 무 미 바 발 베 보 부 브 비 빌 사 살 세 센 소 솔 수 슈
스 시 신 실 아 에 오 올 우 이 자 제 조 졸 주 지 짐 차 카 칼 케 코 콘 쿠 크 클 키 타 탈 탐 테 텐 텔 토 톡 톨 투 트 티 틸 파 페 펜 포 폭 푸 프 플 피 필 하 헤 호 히""".split()
TAIL_KO = """프릴 사르탄 올롤 롤롤 디핀 스타틴 코나졸 니다졸 플록사신 마이신 실린 사이클린 프라졸 티딘 글립틴 글리플로진 글리타존 트립탄 세트론 루카스트 파린 록사반 그렐 티닙 비르
시클로버 카인 바르비탈 아제팜 졸람 페리돈 아핀 옥세틴 트립틸린 프로펜 페낙 옥시캄 콕시브 드로네이트 피브레이트 티아지드 세미드 락톤 테롤 필린 메타손 솔론 게스트렐 프라민 도파 스테론
플라틴 루비신 탁셀 트렉세이트 시클립 파립 페닙 박탐 페넴 졸리드 퀸 옥사니드 타딘 리진 스틴 졸린 밥탄 센탄 시구앗 나필 도신 라민 미드 티드 지드 존 돈 론 민 린 딘 틴 진 핀 신 닐 딜 릴 빌
산 탄 란 반 잔 펜 렌 센 텐 톨 롤 졸 솔 몰 돌 콜 심 팜 람 캄 탐""".split()

COMMON_SYLLABLES = ("가각간갈감갑강개객거건걸검게겔결경계고곡곤골공과관광교구국군궁권규그극근글금급기긴길김까꼬나낙난날남납낭내너넌네넥넨넬노녹논놀농뇌뇨누눈뉴느늄니닉닌닐님다닥단달담답당대더덕던데덱덴델"
                    "도독돈돌동되두둘듀드득든들등디딕딘딜딤따때라락란랄람랍랑래랙량러럭런럴럼레렉렌렐렘려력련렬령례로록론롤롬롭료루룩룬룸류륨르른를름릉리릭린릴림립링마막만말맘망매맥맨머메멕멘멜면명모목몬몰몽무묵문물뮤므미믹민밀및"
                    "바박반발밤방배백밴버번벌범법베벡벤벨벳변병보복본볼봉부북분불붕뷰브븐블비빅빈빌빔빙사산살삼상새색생서석선설섬성세섹센셀셉소속손솔송쇼수숙순술숨슈스슬습승시식신실심십씨아악안알암압앙애액앤야약양어억언얼엄업에엑엔엘엠여역연열염"
                    "엽영예오옥온올옴옵와완왕외요용우욱운울움원월위유육윤율융으은을음응의이익인일임입자작잔잘잠장재저적전절점정제젠젤조족존졸종좌주죽준줄중쥬즈즉증지직진질짐집차착찬찰참창채처척천철첨청체초촉총최추축출충취치칙친칠침카칸칼캄캅캐캔캘캡"
                    "커컨컬케켄켈코콕콘콜콤쿠쿨퀘퀴크큰클키킨킬타탁탄탈탐탑탕태택터턴털테텍텐텔템토톡톤톨톰통투튜트특틀티틱틴틸팀파팍판팔팜팝패팬퍼펀페펙펜펠펩편평폐포폭폰폴표푸풀품풍프플피픽핀필핌하학한할함합항해핵허헌험헤헥헬현혈형호혹혼홀홍화환활황회횟효후훈휘휴흉흡희히힐")

# Letters that blur makes alike, as indices of a syllable's initials, vowels and finals: ㄷㅌㄹ, ㅂㅍㅁ, ㄱㅋ, ㅈㅊㅅ, ㅇㅎ; ㅏㅑㅣㅓ, ㅗㅜㅡㅛㅠ, ㅐㅔㅖ; ㄴㄹㅁㅇㅂㄱㅅ.
NEAR_LETTERS = (
    ((3, 16), (3, 16, 5), (7, 17, 6), (0, 15), (12, 14, 9), (11, 18)),
    ((0, 2, 20, 4), (4, 6, 20), (8, 13, 18), (8, 12, 13, 17), (1, 5, 7)),
    ((0, 4), (4, 8, 16, 21), (8, 17, 1), (16, 21, 17), (1, 19)),
)
# Latin pieces that blur makes alike.
NEAR_PIECES = ("rn|m", "l|i|t", "y|v", "c|e|o", "h|b|n", "u|v|n", "f|t", "g|q|y", "a|o|e", "ll|l|il", "cl|d", "vv|w", "ri|n", "ci|c", "ti|t", "di|d")


def load_formulary(path):
    """Rows of drugs.csv as dictionaries with keys name, name_ko, form, strengths (list of texts)."""
    with open(path, encoding="utf-8") as handle:
        return [dict(row, strengths=row["strengths"].split("|")) for row in csv.DictReader(handle)]


def is_held_out(word):
    """True for the eighth of the words that only the held-out split may use (stable across runs and machines)."""
    return zlib.crc32(word.encode()) % 8 == 0


class NameSource:
    """Draws (text, kind) drug names; `held_out` selects the split of unlisted words."""

    def __init__(self, formulary, rng=random, held_out=False):
        self.formulary, self.rng, self.held_out = formulary, rng, held_out
        keep = lambda words: [w for w in dict.fromkeys(words) if is_held_out(w) == held_out]
        listed = {row["name"] for row in formulary} | {row["name_ko"] for row in formulary}
        self.other = {"en": [w for w in keep(OTHER_EN + BRAND_EN) if w.lower() not in listed],
                      "ko": [w for w in keep(OTHER_KO + BRAND_KO) if w not in listed]}
        self.listed = {"en": [row["name"] for row in formulary], "ko": [row["name_ko"] for row in formulary]}

    def composed(self, language):
        r = self.rng
        head, mid, tail = (HEAD_EN, MID_EN, TAIL_EN) if language == "en" else (HEAD_KO, MID_KO, TAIL_KO)
        while True:
            word = r.choice(head) + "".join(r.choice(mid) for _ in range(r.choice((0, 0, 1, 1, 1, 2)))) + r.choice(tail)
            if is_held_out(word) == self.held_out:
                return word

    def scrambled(self, language):
        r = self.rng
        if language == "ko":
            return "".join(r.choice(COMMON_SYLLABLES) for _ in range(r.randint(2, 8)))
        pairs = "".join(r.choice("bcdfghjklmnprstvwxyz") + r.choice("aeiouy") for _ in range(r.randint(2, 6)))
        letters = list(pairs + r.choice(["", "n", "l", "x", "m", "r"]))
        if r.random() < 0.3:
            letters[r.randrange(len(letters))] = r.choice("abcdefghijklmnopqrstuvwxyz")
        return "".join(letters)

    def look_alike(self, language):
        """A listed name with one or two pieces changed, dropped, doubled or swapped."""
        r = self.rng
        word = list(r.choice(self.listed[language]))
        pool = COMMON_SYLLABLES if language == "ko" else "abcdefghijklmnoprstuvxyz"
        for _ in range(r.choice((1, 1, 2))):
            at = r.randrange(len(word))
            kind = r.random()
            if kind < 0.55:
                if language == "ko" and r.random() < 0.8:
                    word[at] = self._near_syllable(word[at])
                elif language == "en" and r.random() < 0.6:
                    word = list(self._blurred("".join(word), "en"))
                else:
                    word[at] = r.choice(pool)
            elif kind < 0.7 and len(word) > 3:
                del word[at]
            elif kind < 0.85:
                word.insert(at, r.choice(pool))
            elif len(word) > 1:
                other = max(0, at - 1)
                word[at], word[other] = word[other], word[at]
        return "".join(word).strip() or "가"

    def _blurred(self, word, language):
        """The word with one piece changed into another that looks like it."""
        r = self.rng
        if language == "ko":
            at = r.randrange(len(word))
            return word[:at] + self._near_syllable(word[at]) + word[at + 1 :]
        pieces = r.choice(NEAR_PIECES).split("|")
        places = [(i, p) for p in pieces for i in range(len(word)) if word[i : i + len(p)].lower() == p]
        if not places:
            return word
        at, found = r.choice(places)
        return word[:at] + r.choice([p for p in pieces if p != found]) + word[at + len(found) :]

    def _near_syllable(self, syllable):
        """The syllable with one of its letters (initial, vowel, final) changed."""
        code = ord(syllable) - 0xAC00
        if not 0 <= code < 11172:
            return syllable
        initial, vowel, final = code // 588, code // 28 % 21, code % 28
        letters = [initial, vowel, final]
        which = self.rng.choice((0, 0, 0, 1, 1, 2))
        groups = [g for g in NEAR_LETTERS[which] if letters[which] in g]
        if groups and self.rng.random() < 0.7:
            letters[which] = self.rng.choice([k for k in self.rng.choice(groups) if k != letters[which]])
        elif which == 0:
            letters[0] = self.rng.choice((0, 2, 3, 5, 6, 7, 9, 11, 12, 14, 15, 16, 17, 18))
        elif which == 1:
            letters[1] = self.rng.choice((0, 1, 4, 5, 6, 8, 13, 18, 20))
        else:
            letters[2] = self.rng.choice((0, 0, 1, 4, 8, 16, 17, 21))
        initial, vowel, final = letters
        return chr(0xAC00 + (initial * 21 + vowel) * 28 + final)

    def draw(self, language):
        """Return (name, row) where row is the formulary row or None."""
        r = self.rng
        kind = r.random()
        if kind < 0.27:
            row = r.choice(self.formulary)
            name, listed = row["name"] if language == "en" else row["name_ko"], row
        else:
            listed = None
            if kind < 0.47:
                name = r.choice(self.other[language])
            elif kind < 0.70:
                name = self.composed(language)
            elif kind < 0.87:
                name = self.look_alike(language)
            else:
                name = self.scrambled(language)
            if kind < 0.70 and r.random() < 0.25:
                name = self._blurred(name, language)
            if r.random() < 0.12:
                name += (" " + r.choice(SALTS_EN)) if language == "en" else r.choice(SALTS_KO)
        if language == "en":
            case = r.random()
            name = name.capitalize() if case < 0.72 else name.upper() if case < 0.85 else name
        return name, listed
