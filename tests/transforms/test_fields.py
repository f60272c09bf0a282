from __future__ import annotations
def test_session(spark):
    from tests.support.lines import received_frame, received_line, accepted_line, bronze_frame
    print(received_frame(spark,[received_line()]).collect())
    print(bronze_frame(spark,[accepted_line()]).collect())
    print(spark.conf.get("spark.sql.session.timeZone"), spark.sparkContext.getConf().get("spark.driver.extraJavaOptions"), spark.sparkContext.master)
